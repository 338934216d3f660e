// A host without a process around it, for tests, benchmarks and tools.
#pragma once

#include "base/clock.hpp"
#include "base/random.hpp"
#include "kernel/host.hpp"

namespace polis::kernel {

/// The machine's clocks and randomness, no connections; nothing runs by itself, and what is submitted is dropped.
class QuietHost : public Host {
public:
   using Log = std::function<void(Severity, std::string_view, std::optional<format::AccountNumber>)>;
   /// log: takes the log lines; none drops them.
   explicit QuietHost(Log log = {}) : log_(std::move(log)) {}

   std::int64_t realtimeNs() override { return clock_.realtimeNs(); }
   std::int64_t monotonicNs() override { return clock_.monotonicNs(); }
   void random(std::span<std::uint8_t> out) override { random_.fill(out); }
   void log(Severity severity, std::string_view message, std::optional<format::AccountNumber> service) override {
      if (log_)
         log_(severity, message, service);
   }
   std::expected<std::shared_ptr<Socket>, std::int32_t> openSocket(format::HttpRequest, std::optional<format::TLSInfo>,
                                                                   std::optional<format::SocketEndpoint>) override {
      return std::unexpected(socketError::unavailable);
   }
   void wakeProducer() override {}
   void wakeRunQueue() override {}
   void wakeFlush() override {}
   void submit(std::function<void()>) override {}

private:
   Log log_;
   SystemClock clock_;
   SystemRandom random_;
};

} // namespace polis::kernel
