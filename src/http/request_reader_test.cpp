#include "http/request_reader.hpp"
#include <gtest/gtest.h>

using namespace polis;
using namespace polis::http;

namespace {

Limits smallLimits() {
   Limits limits;
   limits.headerBytesMax = 1024;
   limits.bodyBytesMax = 100;
   return limits;
}

/// Status of the refusal, 0 when the text is a whole request, -1 when it wants more.
int statusOf(std::string_view text) {
   RequestReader reader(smallLimits());
   const auto taken = reader.put(asBytes(text));
   if (!taken)
      return taken.error().status;
   return reader.done() ? 0 : -1;
}

} // namespace

TEST(RequestReader, readsOneRequest) {
   RequestReader reader(smallLimits());
   const std::string text =
       "POST /a?b=c HTTP/1.1\r\nHost: App.Polis.localhost:8080\r\nContent-Type: text/x\r\nProxy-Authorization: x\r\n"
       "X-One: 1\r\nContent-Length: 3\r\n\r\nabcGET";
   const auto taken = reader.put(asBytes(text));
   ASSERT_TRUE(taken);
   EXPECT_EQ(*taken, text.size() - 3);
   ASSERT_TRUE(reader.done());
   const auto incoming = reader.take();
   EXPECT_EQ(incoming.request.method, "POST");
   EXPECT_EQ(incoming.request.target, "/a?b=c");
   EXPECT_EQ(incoming.request.host, "app.polis.localhost");
   EXPECT_EQ(incoming.request.contentType, "text/x");
   EXPECT_EQ(asText(incoming.request.body), "abc");
   EXPECT_TRUE(incoming.keepAlive);
   ASSERT_EQ(incoming.request.headers.size(), 4u);
   EXPECT_EQ(incoming.request.headers[2].name, "X-One");
   EXPECT_FALSE(reader.done());
}

TEST(RequestReader, readsByteByByteAndChunked) {
   RequestReader reader(smallLimits());
   const std::string text =
       "\r\nPUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\n\r\n";
   std::string pending;
   for (char c : text) {
      pending += c;
      const auto taken = reader.put(asBytes(pending));
      ASSERT_TRUE(taken) << taken.error().text;
      pending.erase(0, *taken);
   }
   ASSERT_TRUE(reader.done());
   EXPECT_EQ(asText(reader.take().request.body), "abcde");
}

TEST(RequestReader, refusals) {
   EXPECT_EQ(statusOf("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
   EXPECT_EQ(statusOf("GET / HTTP/1.1\r\nHost: a\r\n"), -1);
   EXPECT_EQ(statusOf("hello\r\n\r\n"), 400);
   EXPECT_EQ(statusOf("GET / HTTP/1.1\r\n\r\n"), 400);
   EXPECT_EQ(statusOf("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400);
   EXPECT_EQ(statusOf("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), 400);
   EXPECT_EQ(statusOf("GET / HTTP/1.1\r\nHost: a:x\r\n\r\n"), 400);
   EXPECT_EQ(statusOf("GET / HTTP/1.1\r\nHost: \r\n\r\n"), 400);
   EXPECT_EQ(statusOf("GET x HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
   EXPECT_EQ(statusOf("GET * HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
   EXPECT_EQ(statusOf("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
   EXPECT_EQ(statusOf("PATCH / HTTP/1.1\r\nHost: a\r\n\r\n"), 405);
   EXPECT_EQ(statusOf("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"), 405);
   EXPECT_EQ(statusOf("BREW / HTTP/1.1\r\nHost: a\r\n\r\n"), 405);
   EXPECT_EQ(statusOf("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
   EXPECT_EQ(statusOf("GET / HTTP/1.1\r\nHost: a\r\nExpect: cake\r\n\r\n"), 417);
   EXPECT_EQ(statusOf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n"), 413);
   EXPECT_EQ(statusOf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n"), 400);
   EXPECT_EQ(statusOf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"), 400);
   EXPECT_EQ(statusOf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
   EXPECT_EQ(statusOf("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n"), 400);
   EXPECT_EQ(statusOf("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n80\r\n" + std::string(128, 'a') +
                      "\r\n0\r\n\r\n"),
             413);
   EXPECT_EQ(statusOf("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(1100, 'x') + "\r\n\r\n"), 431);
   EXPECT_EQ(statusOf("GET /" + std::string(1100, 'x')), 431);
   EXPECT_EQ(statusOf(std::string("GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", 29)), 400);
}

/// Whoever goes before us may understand it otherwise, and see another request where we see a body.
TEST(RequestReader, knowsNoTransferEncodingButChunked) {
   for (const char* coding :
        {"identity", "xchunked", "gzip, chunked", "chunked, identity", "chunked, chunked", "\"chunked\""})
      EXPECT_EQ(statusOf(std::string("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ") + coding +
                         "\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
                501)
          << coding;
   EXPECT_EQ(statusOf("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc"),
             501);
   EXPECT_EQ(statusOf("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n"), 501);
   EXPECT_EQ(statusOf("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400);
   EXPECT_EQ(statusOf("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n"), 0);
}

/// What a proxy removes from the header must not come back behind the body.
TEST(RequestReader, trailersAreNotHeaders) {
   RequestReader reader(smallLimits());
   const std::string text = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
                            "Host: b\r\nX-Remote-User: root\r\nContent-Type: text/y\r\n\r\n";
   const auto taken = reader.put(asBytes(text));
   ASSERT_TRUE(taken) << taken.error().text;
   ASSERT_TRUE(reader.done());
   const auto incoming = reader.take();
   EXPECT_EQ(incoming.request.host, "a");
   EXPECT_EQ(incoming.request.contentType, "");
   EXPECT_EQ(incoming.request.headers.size(), 2u);
   EXPECT_EQ(asText(incoming.request.body), "x");
}

/// A chunk's extension and the trailers come in one piece; neither makes the reader ask for more without end.
TEST(RequestReader, asksForNoMoreThanAHeader) {
   const std::string header = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
   EXPECT_EQ(statusOf(header + "3;" + std::string(1000, 'e')), -1);
   EXPECT_EQ(statusOf(header + "3;" + std::string(1100, 'e')), 431);
   std::string trailers;
   for (int i = 0; i < 200; ++i)
      trailers += "X: y\r\n";
   EXPECT_EQ(statusOf(header + "0\r\n" + trailers), 431);
}

TEST(RequestReader, absoluteTargetBringsItsHost) {
   RequestReader reader(smallLimits());
   ASSERT_TRUE(reader.put(asBytes("GET http://app.example:81?q HTTP/1.1\r\nHost: other\r\n\r\n")));
   const auto incoming = reader.take();
   EXPECT_EQ(incoming.request.host, "app.example");
   EXPECT_EQ(incoming.request.target, "/?q");
   ASSERT_EQ(incoming.request.headers.size(), 1u);
   EXPECT_EQ(incoming.request.headers[0].value, "app.example:81"); // RFC 9112, 3.2.2
}

TEST(RequestReader, expectationAndHandshake) {
   RequestReader reader(smallLimits());
   ASSERT_TRUE(reader.put(asBytes("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")));
   EXPECT_TRUE(reader.takeExpectation());
   EXPECT_FALSE(reader.takeExpectation());
   ASSERT_TRUE(reader.put(asBytes("x")));
   EXPECT_TRUE(reader.take().webSocketKey.empty());
   ASSERT_TRUE(
       reader.put(asBytes("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
                          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")));
   EXPECT_EQ(reader.take().webSocketKey, "dGhlIHNhbXBsZSBub25jZQ==");
}

TEST(RequestReader, hosts) {
   EXPECT_EQ(hostWithoutPort("A.b:80"), "a.b");
   EXPECT_EQ(hostWithoutPort("[::1]:80"), "[::1]");
   EXPECT_EQ(hostWithoutPort("[::1]"), "[::1]");
   EXPECT_EQ(hostWithoutPort("x-admin.polis_1.localhost"), "x-admin.polis_1.localhost");
   for (const char* bad : {"", ":80", "a:b", "a:123456", "a/b", "a@b", "[::1", "[]", "[::1]x", "a\xC3\xA9"})
      EXPECT_EQ(hostWithoutPort(bad), "") << bad;
}
