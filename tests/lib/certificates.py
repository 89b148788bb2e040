"""Certificates of a test's own, made with openssl."""

import subprocess


def _openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


class Authority:
    """A certificate authority that signs with a key in this folder."""

    def __init__(self, folder, name):
        folder.mkdir()
        self.folder, self.certificate, self.key = folder, folder / "ca.pem", folder / "ca.key"
        _openssl(
            *"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2".split(),
            *["-keyout", self.key, "-out", self.certificate, "-subj", f"/CN={name}"],
        )

    def issue(self, name, purpose):
        """(certificate, key): for "serverAuth" on 127.0.0.1, or "clientAuth"."""
        request, key, certificate = (self.folder / f"{name}{ending}" for ending in (".csr", ".key", ".pem"))
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"extendedKeyUsage={purpose}\nsubjectAltName=IP:127.0.0.1\n")
        _openssl(
            *"req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes".split(),
            *["-keyout", key, "-out", request, "-subj", f"/CN={name}"],
        )
        _openssl(
            *["x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial"],
            *["-days", "2", "-extfile", extensions, "-out", certificate],
        )
        return certificate, key
