#pragma once
#include "http/net.hpp"

namespace polis::http {

/// Connects, sends one request and waits for its reply; see Server::open.
std::shared_ptr<Exchange> openOutgoing(Net& net, format::HttpRequest&& request, const Peer* peer, bool tls,
                                       std::shared_ptr<ExchangeEvents> events);

} // namespace polis::http
