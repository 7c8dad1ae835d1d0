# Which notebook makes which record, from rdpd_nb.reproduce.plan; Snakemake decides what is done and what runs next.
# `make reproduce` calls this; by hand: snakemake --cores 2 --configfile results/demo/settings.yaml
import pathlib
import shlex
import sys

from rdpd_nb import params, reproduce

SETTINGS = config or reproduce.read_settings("demo")
JOBS = {job.name: job for job in reproduce.plan(SETTINGS)}
RUN = params.check("10_tables_and_figures", JOBS["tables"].parameters)
FOLDER, FIGURES = RUN.results_root, RUN.figures_folder
for job in JOBS.values():
    reproduce.write_parameters(job, FOLDER)


def record(name):
    """The file that says a job is done, for the jobs that wait for it."""
    return f"{FOLDER}/{name}{JOBS[name].makes[-1]}" if JOBS[name].makes else f"{FOLDER}/{name}.ipynb"


rule all:
    input:
        # Every file, not only the last notebook, so that a lost record is made again.
        [f"{FOLDER}/{job.name}{ending}" for job in JOBS.values() for ending in (".ipynb", *job.makes)],


# One rule a job, all alike: papermill writes to another name, so that an .ipynb is there only when it ran to its end.
for job in JOBS.values():

    rule:
        name:
            job.name.replace("/", "_")
        input:
            notebook=f"notebooks/{job.notebook}.ipynb",
            parameters=f"{FOLDER}/{job.name}.parameters.yaml",
            waits=[record(name) for name in job.after],
        output:
            *[f"{FOLDER}/{job.name}{ending}" for ending in job.makes],
            *[f"{FIGURES}/{name}" for name in job.figures],
            notebook=f"{FOLDER}/{job.name}.ipynb",
        params:
            part=f"{FOLDER}/{job.name}.part.ipynb",
            log=f"{FOLDER}/{job.name}.log",
        threads: 1
        message:
            job.name
        shell:
            "OMP_NUM_THREADS={threads} papermill --no-progress-bar -f {input.parameters:q} {input.notebook:q} "
            "{params.part:q} > {params.log:q} 2>&1 && mv {params.part:q} {output.notebook:q}"
