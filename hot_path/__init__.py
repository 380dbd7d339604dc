"""The compiled hot path of a working copy: built once, and preferred for as long as the sources are those of the build.

    sources   the files that a build is made of: the hot path (setup.py), and all of ours that it imports
    build     `python -m hot_path.build`, of `make setup`: compile, and have this environment's Python prefer the result
    finder    what Python does then at an import; a copy of the module stands beside the environment's libraries

What is compiled is never beside its source. So nothing that was compiled can be stale:

    make setup ── build ──► .tools/compiled-HASH/*.so, manifest.json          .venv/…/profile_exporter_hot_path.pth
                                  ▲                    │                                │ at each start of Python
                                  │ all are            ▼                                ▼
                                  └────────── is each source as it was built? ◄── finder: import processor.core.step
                                                       │ one is not
                                                       └──► the source, interpreted

RUN_COMPILED=0 has Python interpret the sources in any case; tests and benchmarks choose for themselves.
"""
