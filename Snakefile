# Which notebook makes which record, from rdpd_nb.reproduce.plan; Snakemake decides what is done and what runs next.
# `make reproduce` calls this; by hand: snakemake --cores 2 --configfile results/demo/settings.yaml
from rdpd_nb import params, reproduce

SETTINGS = config or reproduce.read_settings("demo")
JOBS = {job.name: job for job in reproduce.plan(SETTINGS)}
RUN = params.check("10_tables_and_figures", JOBS["tables"].parameters)
FOLDER, FIGURES = RUN.results_root, RUN.figures_folder
for job in JOBS.values():
    reproduce.write_parameters(job, FOLDER)


rule all:
    input:
        # Every file, not only the last notebook, so that a lost one is made again.
        [f"{FOLDER}/{job.name}{ending}" for job in JOBS.values() for ending in (".ipynb", *job.makes)],
        [f"{FIGURES}/{name}" for job in JOBS.values() for name in job.figures],


# One rule a job, all alike: papermill writes to another name, so that an .ipynb is there only when it ran to its end.
# The parameter file names the code of the job's notebook, so that the notebook's own time does not matter.
for job in JOBS.values():

    rule:
        name:
            job.name.replace("/", "_")
        input:
            parameters=f"{FOLDER}/{job.name}.parameters.yaml",
            notebook=ancient(f"notebooks/{job.notebook}.ipynb"),
            waits=[f"{FOLDER}/{name}.json" for name in job.after],
        output:
            *[f"{FOLDER}/{job.name}{ending}" for ending in job.makes],
            *[f"{FIGURES}/{name}" for name in job.figures],
            notebook=f"{FOLDER}/{job.name}.ipynb",
        params:
            part=f"{FOLDER}/{job.name}.part.ipynb",
            log=f"{FOLDER}/{job.name}.log",
        threads: 1
        # In the notebooks' order as far as may be: each compares its method with those run before it.
        priority: 100 - int(job.notebook[:2])
        message:
            job.name
        shell:
            "OMP_NUM_THREADS={threads} papermill --no-progress-bar -f {input.parameters:q} {input.notebook:q} "
            "{params.part:q} > {params.log:q} 2>&1 && mv {params.part:q} {output.notebook:q}"
