"""The files of contract 4b: event logs, and flows and audiences; read by replay and by the commands.

event_log       the three forms of events, in; records and dead letters, out
configuration   flows and audiences, checked whole
history         the catalog over time, as replay needs it
yaml_lines      YAML or JSON with the line of each value
json_text       one member of an object as it was written
"""
