#include "format/fracpack.hpp"
#include "kernel/service_instance.hpp"

#include <tuple>

namespace polis::kernel {

std::uint32_t ServiceInstance::socketOpen(GuestIn bytes) {
   using Arguments =
       std::tuple<format::HttpRequest, std::optional<format::TLSInfo>, std::optional<format::SocketEndpoint>>;
   auto arguments = format::unpack<Arguments>(guest(bytes));
   if (!arguments)
      throw Abort("socketOpen: malformed request");
   auto& [request, tls, endpoint] = *arguments;
   auto socket = context_.machine().host.openSocket(std::move(request), std::move(tls), std::move(endpoint));
   if (!socket)
      return static_cast<u32>(socket.error());
   return static_cast<u32>(context_.machine().sockets.add(std::move(*socket), &context_.sockets()));
}

std::uint32_t ServiceInstance::socketSend(u32 fd, GuestIn data, u32 flags) {
   const ByteView bytes = guest(data);
   const auto socket = context_.machine().sockets.find(static_cast<std::int32_t>(fd));
   if (!socket)
      return socketError::unknown;
   const store::JournalPosition after = context_.options().mode == Mode::rpc ? context_.checkout().committedUpTo() : 0;
   const SendOutcome outcome = after ? socket->sendAfter(after, bytes, flags) : socket->send(bytes, flags);
   if (outcome.abort)
      throw Abort(*outcome.abort);
   return static_cast<u32>(outcome.error);
}

std::uint32_t ServiceInstance::socketSetFlags(u32 fd, u32 mask, u32 value) {
   SocketTable& sockets = context_.machine().sockets;
   const SocketFlagChange change{static_cast<std::int32_t>(fd), mask & socketFlag::all, value & socketFlag::all,
                                 &context_.sockets()};
   if (context_.checkout().levels() == 0)
      return static_cast<u32>(sockets.setFlags(change));
   const std::int32_t error = sockets.checkFlags(change.fd);
   if (error == socketError::none)
      context_.checkout().deferFlags(change);
   return static_cast<u32>(error);
}

std::uint32_t ServiceInstance::readFile(GuestIn path) {
   auto text = context_.machine().host.readFile(asText(guest(path)));
   if (!text)
      return noResult();
   result_.take(std::move(*text));
   key_.clear();
   return static_cast<u32>(result_.view().size());
}

} // namespace polis::kernel
