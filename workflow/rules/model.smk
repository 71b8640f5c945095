rule build_model:
    input:
        lambda wildcards: input_files("models", STUDY.models[wildcards.model]),
    output:
        "results/{model}/model.nc",
    log:
        "results/log/{model}/model.log",
    threads: cores("build_model")
    resources:
        **needs("build_model", mem_mb=2000, runtime=10),
    params:
        used="results/benchmark/{model}/model.tsv",
        settings=lambda wildcards: plugin(STUDY.models[wildcards.model]),
        precision=STUDY.precision,
        code=code_hash("model"),
        plugin=plugin_of_model,
    message:
        "Build the model {wildcards.model}"
    shell:
        "slds --benchmark {params.used:q} build-model --name {wildcards.model:q} {params.settings} --precision {params.precision}"
        " --output {output:q} 2>&1 | tee {log:q}"


rule all_models:
    input:
        expand(rules.build_model.output, model=STUDY.models),
    localrule: True
