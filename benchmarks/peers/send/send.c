/*
 * The least that a delivery can cost: for each message, one send(2) to each member.
 *
 * Usage: send PORT, on 127.0.0.1. A connection whose first line starts with "GET " is a member: it
 * is told "101 Switching Protocols" and gets every message from then on. One that starts with
 * "FEED" is the publisher: after the four letters it sends messages, each as four bytes of length
 * (big endian) and that many bytes, which are passed on as they are.
 *
 * Nothing else is done: no reads from members, no timers, no protocol. Ends on SIGTERM, or when
 * nothing happens for ten minutes.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST_MEMBERS 65536
#define MOST_BYTES (1 << 20)
#define IDLE_MS (10 * 60 * 1000)

static const char accepted[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                               "Connection: Upgrade\r\n\r\n";
static int members[MOST_MEMBERS];
static int count;
static char message[MOST_BYTES];

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int listen_on(int port)
{
    int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0)
        fail("bind");
    if (listen(listener, 1024) < 0)
        fail("listen");
    return listener;
}

/* Accept one connection; return it if it is the publisher, else -1. */
static int welcome(int listener)
{
    int on = 1, connection = accept(listener, NULL, NULL);
    struct timeval patience = {.tv_sec = 5};
    char head[4096];
    size_t got = 0;

    if (connection < 0)
        fail("accept");
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (recv(connection, head, 4, MSG_WAITALL) != 4)
        goto gone;
    if (memcmp(head, "FEED", 4) == 0) {
        struct timeval forever = {0};
        setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof forever);
        return connection;
    }
    for (got = 4; got < 8 || memcmp(head + got - 4, "\r\n\r\n", 4) != 0;) {
        ssize_t more = recv(connection, head + got, sizeof head - got, 0);
        if (more <= 0)
            goto gone;
        got += more;
    }
    if (count == MOST_MEMBERS || send(connection, accepted, sizeof accepted - 1, MSG_NOSIGNAL) < 0)
        goto gone;
    members[count++] = connection;
    return -1;
gone:
    close(connection);
    return -1;
}

/* Pass one message on; return 0 when the publisher is gone. */
static int deliver(int publisher)
{
    uint32_t length;
    int i;

    if (recv(publisher, &length, sizeof length, MSG_WAITALL) != sizeof length)
        return 0;
    length = ntohl(length);
    if (length > MOST_BYTES || recv(publisher, message, length, MSG_WAITALL) != (ssize_t)length)
        return 0;
    for (i = 0; i < count; i++)
        if (send(members[i], message, length, MSG_NOSIGNAL) < 0) {
            close(members[i]);
            members[i--] = members[--count];
        }
    return 1;
}

int main(int argc, char **argv)
{
    struct pollfd watched[2] = {{.fd = -1, .events = POLLIN}, {.fd = -1, .events = POLLIN}};

    if (argc != 2) {
        fprintf(stderr, "usage: send PORT\n");
        return 2;
    }
    watched[0].fd = listen_on(atoi(argv[1]));
    while (poll(watched, 2, IDLE_MS) > 0) {
        if (watched[1].revents && !deliver(watched[1].fd)) {
            close(watched[1].fd);
            watched[1].fd = -1;
        }
        if (watched[0].revents) {
            int publisher = welcome(watched[0].fd);
            if (publisher >= 0)
                watched[1].fd = publisher;
        }
    }
    return 0;
}
