"""Apply a plan, saved or just made, after comparing it with the reviewed one."""
