"""Run the demo's SFTP server and API until the shell that started them ends."""

from __future__ import annotations

import os
import time
from pathlib import Path

from demo.credentials import write_secrets
from demo.servers import run_servers

if __name__ == "__main__":
    root, shell = Path.cwd(), os.getppid()
    write_secrets(root / ".demo" / "secrets")
    with run_servers(root) as customers:
        (customers.parent / "ready").touch()
        while os.getppid() == shell:
            time.sleep(0.1)
