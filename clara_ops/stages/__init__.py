"""One module per stage, named as the stage with underscores; `clara_ops.stages.command` runs any of them.

A stage module has

    DESCRIPTION: str                      one line for `clara-stage --help`
    add_arguments(parser) -> None         the options that a workflow's `args` may give
    run(folders, options, progress)       the work: reads folders.input, writes folders.output, and returns a
                                          contract.result.StageResult, or None

It raises BadInput, NothingToDo or another ClaraError to end otherwise than done.
"""
