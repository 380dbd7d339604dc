"""Profiles deleted on request, as privacy requests ask for it (F3).

deletion   an event for each profile, and the wait until workers have applied it
receipt    what the topics say became of each: its row, and the records that left because of it
"""
