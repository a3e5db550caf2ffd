"""What is ours on this machine, written down so that a crash cannot hide it: places, undos, owners and records, reaping."""

from lib.lazy import hand_on

__getattr__, __all__ = hand_on(
    __name__,
    {
        "places": "check_name home store folder make_folder memory_place runtime_dir new_id temporary",
        "undos": "kill_cgroup kill_groups thaw_groups release_groups rmdir unlink",
        "shared": "UNDOS undo_all",
        "removal": "rmtree",
        "owner": "Owner alive check_ours our_runtime_dir",
        "record": "Record records start_time of_others",
        "dying": "contained_children is_ending kill_tracers",
        "reaping": "new_record same_process kill_recorded reap gc",
        "uninstalling": "disk_used uninstall",
    },
)
