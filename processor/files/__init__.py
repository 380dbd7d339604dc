"""Files of contract 4b, read and written without Kafka: event logs, flows and audiences.

event_log      the three forms of events, records and dead letters   history     the catalog in the course of a replay
configuration  flows and audiences, checked as a whole (M4)          yaml_lines  YAML or JSON, with line numbers
json_text      the text of one member, as it was written
"""
