"""The daemon's page, looked at all the time beside what a test does."""

import threading


class PageWatch:
    """
    with SomeWatch(daemon) as watch: …

    Inside the block every page is given to look(), which a subclass has; what it raises is raised at the block's end.
    """

    def __init__(self, daemon):
        self.daemon = daemon
        self.pages = 0  # how many were read
        self._ended, self._failure = threading.Event(), None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()
        if self._failure:
            raise self._failure

    def _run(self):
        try:
            while not self._ended.wait(0.1):
                self.look(self.daemon.page())
                self.pages += 1
        except Exception as failure:
            self._failure = failure
