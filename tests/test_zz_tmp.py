import socket, urllib.request, pytest
def test_net():
    for f in (lambda: socket.create_connection(("example.org",80),timeout=2), lambda: socket.create_connection(("93.184.216.34",80),timeout=2), lambda: urllib.request.urlopen("http://10.1.2.3/",timeout=2), lambda: socket.socket(socket.AF_INET,socket.SOCK_DGRAM).sendto(b"x",("8.8.8.8",53))):
        with pytest.raises(RuntimeError, match="example|93|10.1|8.8"): f()
    s=socket.socket(); s.bind(("127.0.0.1",0)); s.listen(); socket.create_connection(("localhost",s.getsockname()[1])).close(); s.close()
def test_small(bot, index): print(bot.ask("Why do tomatoes crack?").text, bot.generation.name, list(index.iterdir()))
def test_starter(starter): print(starter.ask("How long does ketamine help?").text[:100], starter.generation.name, len(starter.generation.documents))
