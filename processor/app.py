"""Read the settings of this process and make its Faust app, which `faust -A processor.app worker` runs.

Importing this module reads the settings and declares the app; nothing is opened before the worker starts.
"""

# Before everything else: the imports below take a second.
from processor.foundation.stop_signals import end_at_once, runs_faust_worker

if runs_faust_worker():
    end_at_once()

from processor.worker.faust_app import declare_app

app = declare_app()
