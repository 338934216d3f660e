#pragma once

#include "base/bytes.hpp"
#include "format/chain.hpp"
#include "format/native_tables.hpp"
#include "kernel/sockets.hpp"

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace polis::kernel {

/// Severity of a log line, numbered as `LogMessage.severity` (spec, kernel §8.3).
enum class Severity : std::uint32_t { trace, debug, info, warning, error, critical };

/// What the kernel needs from the process around it. `node` implements it; tests have a small one of their own.
/// Every function may be called from any thread, returns soon, and must not call back into the kernel.
class Host {
public:
   virtual ~Host() = default;

   /// Nanoseconds since 1970-01-01 UTC.
   virtual std::int64_t realtimeNs() = 0;
   /// Nanoseconds of a clock that never steps.
   virtual std::int64_t monotonicNs() = 0;
   /// Fills `out` with the operating system's randomness.
   virtual void random(std::span<std::uint8_t> out) = 0;

   /// One log line; `service` when it is a service's own (the log socket, fd 1).
   virtual void log(Severity severity, std::string_view message, std::optional<format::AccountNumber> service) = 0;

   /// A connection that a service asks for. It may start only in `Socket::attached`.
   /// Errors: a negative WASI error number; socketError::unavailable when the node serves no HTTP.
   virtual std::expected<std::shared_ptr<Socket>, std::int32_t>
   openSocket(format::HttpRequest request, std::optional<format::TLSInfo> tls,
              std::optional<format::SocketEndpoint> endpoint) = 0;

   /// The text of a file below a mount; nothing on any error (spec, kernel §2, readFile).
   virtual std::optional<Bytes> readFile(std::string_view path) {
      (void)path;
      return std::nullopt;
   }

   /// A transaction may be waiting: the chain thread should call `Kernel::pushNext`.
   virtual void wakeProducer() = 0;
   /// A run row or the timer changed: a query thread should call `Kernel::runNext`.
   virtual void wakeRunQueue() = 0;
   /// Something was appended to the journal: the store thread should call `Kernel::flush`.
   virtual void wakeFlush() = 0;
   /// Runs `work` on a query thread, later. Work that cannot be queued is dropped with a log line.
   virtual void submit(std::function<void()> work) = 0;

   /// Runs `work`, which compiles code, on a thread of its own for that, one after the other. False: too much is
   /// waiting. A host without such a thread runs it at once.
   virtual bool compile(std::function<void()> work) {
      work();
      return true;
   }

   /// Checks a HostConfigRow's JSON before a service may write it; returns what is wrong with it.
   virtual std::optional<std::string> checkHostConfig(std::string_view json) {
      (void)json;
      return std::nullopt;
   }
   /// A service committed a new host configuration (table 17): apply and persist it.
   virtual void hostConfigChanged(std::string_view json) { (void)json; }
   /// A service asked for shutdown or restart (table 18; JSON fields restart, soft, deadline).
   virtual void shutdownRequested(std::string_view json) { (void)json; }
};

} // namespace polis::kernel
