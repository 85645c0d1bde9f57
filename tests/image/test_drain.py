"""SIGTERM, as `podman stop` sends it, with sockets open."""

from concurrent.futures import ThreadPoolExecutor

from container import Server
from deadline import until
from raw import RawSocket

DRAINING, OVER_CAPACITY = 4200, 4100
SOCKETS = 40


def test_every_socket_is_sent_elsewhere_and_none_refused(image):
    with Server(image, GAUNG_DRAIN_SECONDS="4") as server, ThreadPoolExecutor(SOCKETS + 1) as pool:
        sockets = [RawSocket(server).greeted() for _ in range(SOCKETS)]
        codes = [pool.submit(socket.close_code) for socket in sockets]
        stopping = pool.submit(server.stop)
        closed = lambda: sum(code.done() for code in codes)
        until(closed, "the first socket is sent away")
        late = []
        while closed() < SOCKETS // 2:
            late.append(RawSocket(server).close_code())
        assert {code.result() for code in codes} == {DRAINING}
        assert late and set(late) == {OVER_CAPACITY}
        stopping.result()
        assert server.has_ended() == 0, server.log
        assert "panicked" not in server.log
