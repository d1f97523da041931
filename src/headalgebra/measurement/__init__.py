"""Rows of every table of one layer: a module for each table, a function for each stage."""
