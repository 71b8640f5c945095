rule report:
    input:
        expand(MODEL, model=STUDY.models),
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
        # functions, since Snakemake takes braces in a string for wildcards
        title=lambda wildcards: shlex.quote(STUDY.title),
        # what a command line adds to the configuration is in no file, so the files would not tell what is missing
        config=lambda wildcards: (
            ""
            if workflow.config_settings.config
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


onerror:
    part = finished_part()
    if part is not None:
        unfinished, there = part
        # so that no later run takes this report for the finished one, whatever becomes of the configuration
        workflow.persistence.started(unfinished)
        given, made, told = unfinished.params, unfinished.output, unfinished.log
        try:
            shell(
                "export NPROC=1; mkdir -p $(dirname {told:q}); slds report {there:q} --title {given.title} {given.config}"
                " --logs {given.logs:q} --benchmarks {given.benchmarks:q} --figures {made.figures:q} --output {made.html:q}"
                " 2>&1 | tee {told:q}"
            )
            said = "shows what is there, and why the rest is not"
        except Exception as error:
            said = f"could not be written from what is there: {error}"
        print(f"The study is not finished. {made.html} {said}.", file=sys.stderr)
