#pragma once

#include "base/bytes.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace polis::harness {

/// One HTTP/1.1 answer. head: the status line and the headers, as they came.
struct Answer {
   int status = 0;
   std::string head;
   std::string body;
};

/// Sends one request on a connection of its own and waits for the answer.
/// port: on 127.0.0.1. host: the Host header. patience: longest silence of the other side; zero: any.
/// Throws std::runtime_error when nobody answers.
Answer request(std::uint16_t port, const std::string& host, const std::string& method, const std::string& target,
               ByteView body = {}, const std::string& contentType = {}, std::chrono::milliseconds patience = {});

/// The same with further headers, each line with its "\r\n".
Answer requestWith(std::uint16_t port, const std::string& host, const std::string& method, const std::string& target,
                   const std::string& headers, ByteView body = {});

/// Sends raw bytes, asks the server to end the connection, and gives whatever came: the head, and all behind it as
/// body.
Answer headOnly(std::uint16_t port, std::string_view raw);

/// Sends raw bytes on a connection of its own and waits for one answer.
Answer exchange(std::uint16_t port, std::string_view raw, std::chrono::milliseconds patience = {});

/// One request of a load, ready to be sent, as raw bytes.
using RawRequest = std::string;

RawRequest rawRequest(const std::string& host, const std::string& method, const std::string& target, ByteView body,
                      const std::string& contentType);

/// What a load measured.
struct LoadResult {
   double seconds = 0;
   std::size_t answered = 0;
   /// Answers that `good` refused, and the first of them.
   std::size_t bad = 0;
   std::string firstBad;
   /// One latency an answer, in nanoseconds, unsorted.
   std::vector<std::int64_t> latencyNs;
};

/// Keeps `connections` busy, each with one request at a time, until all requests are answered. One thread, epoll.
LoadResult load(std::uint16_t port, const std::vector<RawRequest>& requests, std::size_t connections,
                const std::function<bool(const Answer&)>& good);

} // namespace polis::harness
