# Layers made to have a known answer, or a size that the paper speaks of: no model and no study has a
# part in them, so that they are measured once for all studies.
for table, described in CONSTRUCTED.items():

    rule:
        name:
            f"measure_{table}"
        input:
            code=modules_behind(f"measure_{table}"),
        output:
            constructed(table, paths.constructed_table),
        log:
            constructed(table, paths.log),
        benchmark:
            constructed(table, paths.benchmark)
        conda:
            "../../envs/environment.yaml"
        threads: 1
        resources:
            mem_mb=lambda wildcards, attempt, mem_mb=described["mem_mb"]: attempt * mem_mb,
            runtime=lambda wildcards, attempt: attempt * 20,
            gpu=0,
        params:
            table=table,
            settings=analysis(*described["keys"]),
        message:
            described["message"]
        script:
            "../../scripts/measure_{params.table}.py"
