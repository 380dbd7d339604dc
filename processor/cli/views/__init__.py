"""The output of commands that people and programs read: tables, lines, JSON and bars.

tables           on stdout                                progress           a bar, or a line now and then
yaml_text        as a file has it, and what differs       check_report       findings, with what to do
job_views        jobs as lines and a table                job_watch          jobs watched until they end
dead_letter_views  dead letters as tables and JSON        status_report      all that `status` knows, summed
flow_totals      a flow, summed over workers              status_tables      its tables
status_json      its JSON object
"""
