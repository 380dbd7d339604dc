"""The tour: a made-up shop, a real worker, a crash, and what came out held against replay.

    environment ─► scenario ─► processor.verify ─► summary ─► report ─► screen

    tour          all of it, in order                  environment   broker and endpoint, and what is removed again
    scenario      events, a crash, a restart           steps         one step on the screen, while it takes
    progress      how far the worker is                interruption  Ctrl-C and SIGTERM
    summary       what is shown at the end             report        its texts and rows
    descriptions  causes in words                      screen        a terminal, or plain lines

The sandbox (`processor/sandbox`) has the broker, the endpoint, the shop and the processes.
"""
