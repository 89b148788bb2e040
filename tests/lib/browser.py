"""A headless Chromium of the test's own, spoken to by the DevTools protocol."""

import base64
import json
import subprocess
import tempfile
import urllib.request
from pathlib import Path

import websocket

import processes


class Browser:
    """with Browser() as browser: …; `complaints` are what the page said on the console, violations of its policy too."""

    def __init__(self):
        # Chromium's own children may still be writing when it goes.
        self.folder = tempfile.TemporaryDirectory(prefix="tidemark-browser-", ignore_cleanup_errors=True)
        self.port = processes.free_port()
        self.process = processes.start(
            ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
             f"--user-data-dir={self.folder.name}", f"--remote-debugging-port={self.port}", "--remote-allow-origins=*", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        self.count, self.complaints = 0, []
        try:
            target = processes.wait_until(self._target, what="an answer of Chromium")
            self.socket = websocket.create_connection(target, timeout=120)
            for domain in ("Page", "Runtime", "Log"):
                self.call(f"{domain}.enable")
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        self.close()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()

    def _target(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/json", timeout=20) as answer:
                pages = [page for page in json.load(answer) if page["type"] == "page"]
        except OSError:
            return None
        return pages[0]["webSocketDebuggerUrl"] if pages else None

    def call(self, method, **parameters):
        self.count += 1
        self.socket.send(json.dumps({"id": self.count, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == self.count:
                assert "error" not in message, message
                return message["result"]
            if message.get("method") == "Log.entryAdded":
                self.complaints.append(message["params"]["entry"]["text"])
            elif message.get("method") == "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(message["params"]["exceptionDetails"]))

    def evaluate(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def open(self, url, width=1300, height=900, dark=False, scripts=True):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self._go("about:blank")  # what the last page still says goes with it
        self.complaints.clear()
        self._go(url)

    def _go(self, url):
        """While one page goes and the other comes there is none to ask, which is an error for a moment."""
        self.call("Page.navigate", url=url)
        processes.wait_until(lambda: self.evaluate("location.href + document.readyState") == f"{url}complete", what="the page")

    def press(self, key):
        codes = {"Tab": 9, "Enter": 13}
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r" if key == "Enter" else key} if kind == "keyDown" and (len(key) == 1 or key == "Enter") else {}
            code = {"windowsVirtualKeyCode": codes[key]} if key in codes else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, **text, **code)

    def screenshot(self, path):
        Path(path).write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))
