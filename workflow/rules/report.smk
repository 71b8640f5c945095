rule report:
    input:
        expand(rules.build_model.output, model=STUDY.models),
        expand(rules.infer.output, model=STUDY.models, setting=STUDY.inference),
        expand(rules.residual.output, model=STUDY.models, setting=STUDY.inference),
        expand(rules.gradient.output, model=STUDY.models, setting=STUDY.gradients),
        expand(rules.compare.output, model=STUDY.models) if STUDY.gradients else [],
    output:
        html=report(
            "results/report.html",
            caption="../report/study.rst",
            category="Report",
            labels={"contents": "the whole study"},
        ),
        figures=report(
            directory("results/figures"),
            patterns=["{place}/{figure}.svg"],
            caption="../report/figure.rst",
            category="Figures",
            subcategory="{place}",
            labels={"model": "{place}", "figure": "{figure}"},
        ),
    log:
        "results/log/report.log",
    benchmark:
        "results/benchmark/report.tsv"
    threads: cores("report")
    resources:
        **needs("report", mem_mb=4000, runtime=15),
    params:
        title=shlex.quote(STUDY.title),
        # what a command line adds to the configuration is in no file, so the files would not tell what is missing
        config=(
            ""
            if workflow.config_settings.overwrite_config
            else shlex.join(f"--config={path}" for path in workflow.configfiles)
        ),
        logs="results/log",
        benchmarks="results/benchmark",
        sections=[identity("sections", name) for name in sorted(available("sections"))],
        code=code_hash("report"),
    message:
        "Write the report"
    shell:
        "slds report {input:q} --title {params.title} {params.config} --logs {params.logs:q}"
        " --benchmarks {params.benchmarks:q} --figures {output.figures:q} --output {output.html:q} 2>&1 | tee {log:q}"
