"""What a run shows on the terminal: a line a job, one bar, failures, where the results are.

Snakemake finds this package by its name and loads it for ``logger: headalgebra`` in
profiles/default/config.yaml. The full log stays in ``.snakemake/log``.
"""

from snakemake_logger_plugin_headalgebra.handler import LogHandler

__all__ = ["LogHandler"]
