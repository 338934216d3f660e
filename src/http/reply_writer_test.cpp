#include "base/bytes.hpp"
#include "http/client.hpp"
#include "http/reply_writer.hpp"
#include "http/request_writer.hpp"
#include <gtest/gtest.h>

using namespace polis;
using namespace polis::http;

TEST(ReplyWriter, head) {
   format::HttpReply reply;
   reply.status = 200;
   reply.contentType = "text/plain";
   reply.body = toBytes("abc");
   reply.headers = {{"ETag", "x"}, {"content-length", "99"}, {"Connection", "upgrade"}};
   std::string out;
   appendHead(out, reply, {.head = false, .keepAlive = true, .http10 = false, .date = "D"});
   EXPECT_EQ(out, "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Type: text/plain\r\nETag: x\r\nContent-Length: 3\r\n\r\n");
   reply = {.status = 304, .contentType = {}, .body = {}, .headers = {}};
   out.clear();
   appendHead(out, reply, {.head = false, .keepAlive = false, .http10 = false, .date = {}});
   EXPECT_EQ(out, "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n");
}

TEST(ReplyWriter, problems) {
   format::HttpReply reply;
   EXPECT_FALSE(replyProblem(reply, ""));
   for (int status : {0, 100, 199, 600, 65535}) {
      reply.status = static_cast<std::uint16_t>(status);
      EXPECT_TRUE(replyProblem(reply, "")) << status;
   }
   reply.status = 200;
   reply.headers = {{"X", "a\r\nSet-Cookie: b"}};
   EXPECT_TRUE(replyProblem(reply, ""));
   reply.headers = {{"X y", "a"}};
   EXPECT_TRUE(replyProblem(reply, ""));
   reply.headers = {};
   reply.contentType = "a\nb";
   EXPECT_TRUE(replyProblem(reply, ""));
}

TEST(ReplyWriter, handshake) {
   const std::string key = "dGhlIHNhbXBsZSBub25jZQ=="; // RFC 6455, 1.3
   EXPECT_EQ(webSocketAccept(key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
   format::HttpReply reply;
   reply.status = 101;
   reply.headers = {
       {"Upgrade", "WebSocket"}, {"Connection", "x, Upgrade"}, {"Sec-WebSocket-Accept", webSocketAccept(key)}};
   EXPECT_FALSE(replyProblem(reply, key));
   EXPECT_TRUE(replyProblem(reply, ""));
   reply.headers[2].value = "wrong";
   EXPECT_TRUE(replyProblem(reply, key));
   reply.headers.pop_back(); // the node computes it
   EXPECT_FALSE(replyProblem(reply, key));
}

TEST(ReplyWriter, date) { EXPECT_EQ(httpDate(784111777), "Sun, 06 Nov 1994 08:49:37 GMT"); }

TEST(Urls, parse) {
   const auto url = parseUrl("https://app.example:8443/x?y");
   ASSERT_TRUE(url);
   EXPECT_TRUE(url->tls);
   EXPECT_EQ(url->authority(), "app.example:8443");
   EXPECT_EQ(url->target, "/x?y");
   EXPECT_EQ(url->subdomain("a").origin(), "https://a.app.example:8443");
   EXPECT_EQ(parseUrl("polis.localhost:8080")->port, 8080);
   EXPECT_EQ(parseUrl("http://a")->authority(), "a");
   EXPECT_EQ(parseUrl("http://[::1]:81?z")->host, "[::1]");
   for (const char* bad :
        {"", "http://", "ftp://a", "http://a:0", "http://a:99999", "http://a:b", "http://[::1", "http://u@a"})
      EXPECT_FALSE(parseUrl(bad)) << bad;
}

TEST(Requests, sendable) {
   format::HttpRequest request;
   request.method = "GET";
   request.target = "/";
   EXPECT_TRUE(isSendable(request));
   request.target = "/a b";
   EXPECT_FALSE(isSendable(request));
   request.target = "/";
   request.headers = {{"A", "b\r\nC: d"}};
   EXPECT_FALSE(isSendable(request));
   EXPECT_TRUE(isLocalhostName("x.localhost"));
   EXPECT_TRUE(isLocalhostName("LOCALHOST"));
   EXPECT_FALSE(isLocalhostName("notlocalhost"));
}
