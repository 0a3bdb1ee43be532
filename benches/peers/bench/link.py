"""A slow link to a port of this host: `link.py PORT BYTES_PER_S` prints the port in front of it. Each direction has one rate for all."""

import asyncio
import sys

#: How far a link that was late may catch up.
LATE_S = 0.02
#: What is sent in one piece: others do not wait longer for it.
PIECE = 16 * 1024


class Direction:
    """Lets bytes pass one after the other."""

    def __init__(self, bytes_per_s):
        self.bytes_per_s, self.free_at = bytes_per_s, 0.0

    async def carry(self, reader, writer):
        loop = asyncio.get_running_loop()
        try:
            while piece := await reader.read(PIECE):
                self.free_at = max(self.free_at, loop.time() - LATE_S) + len(piece) / self.bytes_per_s
                await asyncio.sleep(self.free_at - loop.time())
                writer.write(piece)
                await writer.drain()
        except OSError:
            pass
        writer.close()


async def main(port, bytes_per_s):
    there, back = Direction(bytes_per_s), Direction(bytes_per_s)

    async def lead(reader, writer):
        from_server, to_server = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(there.carry(reader, to_server), back.carry(from_server, writer))

    server = await asyncio.start_server(lead, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
