// A server whose handler answers at once, for wrk or ab: http_bench [port]
#include "http/reply_writer.hpp"
#include "http/server.hpp"
#include <csignal>
#include <cstdlib>

namespace {
struct Hello final : polis::http::Handler {
   void request(std::shared_ptr<polis::http::Exchange> exchange, polis::format::HttpRequest&&) override {
      (void)exchange->reply(polis::http::textReply(200, "hello"));
   }
};
} // namespace

int main(int argc, char** argv) {
   Hello handler;
   polis::http::Server server({}, handler);
   sigset_t signals;
   sigemptyset(&signals);
   sigaddset(&signals, SIGINT);
   sigaddset(&signals, SIGTERM);
   sigprocmask(SIG_BLOCK, &signals, nullptr);
   server.listen({.port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 8099)});
   server.start();
   int signal = 0;
   sigwait(&signals, &signal);
   server.stop(1000);
}
