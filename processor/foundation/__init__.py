"""The ground that every process stands on: settings, secrets, errors, logs, tasks, signals. It knows no client.

settings      every setting, checked             settings_environment   how they are read
              in groups: settings_kafka, settings_processing, settings_api, settings_delivery, settings_log
login_fields  settings of logins, and which go together
env_file      `.env`, read literally             secrets       encryption at rest
errors        with exit codes                    gaps          offsets that are gone, and which are accepted
log           events with fields                 log_repeats   held back     log_streams   where lines go
last_line     why a process ended                stop_signals, stop_deadline, supervised   how it ends
tasks         background tasks, watched          revocable     work that a rebalance ends
clocks        what tells the time, and draws     sizes         KIB to TIB
fault_points  named crash points for tests
"""
