from shardlayer.server.cli import main

main()
