"""nginx, to be measured against."""

import subprocess
from contextlib import contextmanager

import processes


@contextmanager
def nginx(folder):
    """A web server for the files in `folder`; gives its port."""
    port = processes.free_port()
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes 1;\n"
        "events { worker_connections 64; }\n"
        f"http {{ access_log off; sendfile on; default_type text/plain; server {{ listen 127.0.0.1:{port}; root {folder}; }} }}\n"
    )
    folder.chmod(0o755)
    server = processes.start(["/usr/sbin/nginx", "-c", configuration, "-p", folder], stderr=subprocess.DEVNULL)
    try:
        yield port
    finally:
        server.terminate()
        server.wait()
