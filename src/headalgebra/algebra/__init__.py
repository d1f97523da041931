"""The algebra of a layer's heads, from its operators to the brackets and levels they carry."""
