"""The composition root: it puts a worker together, and takes partitions over, with Faust and without.

    settings ─► faust_app ─► build ─► Parts ─► Ownership ◄─ transport, recovery, agents

faust_app      the app, its table            faust_worker   checks, exit codes    agents    batches in
recovery       takeovers in Faust's place    hot_path       compiled or not
preconditions  checked before a start        environment    directory, cluster    exit_codes
build          every constructor             delivery_settings   limits of delivery
ownership      take over, release, drain     services       what runs beside partitions
stores         local copies: open, restore   partitions     those of profile-events, put together
start_positions, log_positions   where to read on    gap_stop       a stop for lost records
parked_takeover   flows that are parked      partition_history   what was passed over
progress       what is done, told            exports_feed   from the agent to the sink
status_reports, view   what is reported      waits, group_waits   what is waited for
adapters       a port of the pipeline or of delivery each
"""
