// Writes programs for the puppet service, and reads what they put out.
#pragma once

#include "base/bytes.hpp"
#include "format/fracpack.hpp"
#include "format/native_tables.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <string_view>

namespace polis::kernel {

/// Steps in order; see puppet.cpp. `reg` as an operand stands for the register: the last value read or returned.
class Program {
public:
   struct Register {};
   static constexpr Register reg{};

   Program& open(std::uint32_t database, ByteView prefix, std::uint32_t mode) {
      return op(1).w(database).b(prefix).w(mode);
   }
   Program& openAt(std::uint32_t h, ByteView prefix, std::uint32_t mode) { return op(2).w(h).b(prefix).w(mode); }
   Program& close(std::uint32_t h) { return op(3).w(h); }
   Program& put(std::uint32_t h, std::string_view k, std::string_view v) { return put(h, asBytes(k), asBytes(v)); }
   Program& put(std::uint32_t h, ByteView k, ByteView v) { return op(4).w(h).b(k).b(v); }
   Program& put(std::uint32_t h, std::string_view k, Register) { return op(4).w(h).b(asBytes(k)).w(~0u); }
   Program& remove(std::uint32_t h, std::string_view k) { return op(5).w(h).b(asBytes(k)); }
   Program& remove(std::uint32_t h, ByteView k) { return op(5).w(h).b(k); }
   Program& get(std::uint32_t h, std::string_view k) { return op(6).w(h).b(asBytes(k)); }
   Program& get(std::uint32_t h, ByteView k) { return op(6).w(h).b(k); }
   Program& greaterEqual(std::uint32_t h, std::string_view k, std::uint32_t match) {
      return op(7).w(h).b(asBytes(k)).w(match);
   }
   Program& lessThan(std::uint32_t h, std::string_view k, std::uint32_t match) {
      return op(8).w(h).b(asBytes(k)).w(match);
   }
   Program& max(std::uint32_t h, std::string_view k) { return op(9).w(h).b(asBytes(k)).w(0); }
   Program& call(const format::Action& action, std::uint64_t flags = 0) {
      return op(10).b(format::pack(action)).q(flags);
   }
   Program& callPacked(ByteView action, std::uint64_t flags = 0) { return op(10).b(action).q(flags); }
   Program& console(std::string_view text) { return op(11).b(asBytes(text)); }
   Program& abort(std::string_view text) { return op(12).b(asBytes(text)); }
   Program& exportHandles(const std::vector<std::uint32_t>& list) { return op(13).b(format::pack(list)); }
   Program& exportRaw(ByteView list) { return op(13).b(list); }
   Program& importHandles() { return op(14); }
   Program& clock(std::uint32_t id) { return op(15).w(id); }
   Program& random(std::uint32_t bytes) { return op(16).w(bytes); }
   Program& maxCpu(std::uint64_t ns) { return op(17).q(ns); }
   Program& checkout() { return op(18); }
   Program& commit() { return op(19); }
   Program& abortCheckout() { return op(20); }
   Program& socketOpen(ByteView request) { return op(21).b(request); }
   Program& socketSend(std::uint32_t fd, ByteView data, std::uint32_t flags) { return op(22).w(fd).b(data).w(flags); }
   Program& setFlags(std::uint32_t fd, std::uint32_t mask, std::uint32_t value) {
      return op(23).w(fd).w(mask).w(value);
   }
   Program& readFile(std::string_view path) { return op(24).b(asBytes(path)); }
   Program& recurse(std::uint32_t depth) { return op(25).w(depth); }
   Program& loop() { return op(26); }
   Program& trap() { return op(27); }
   Program& rawConsole(std::uint32_t pointer, std::uint32_t bytes) { return op(28).w(pointer).w(bytes); }
   Program& count() { return op(29); }
   Program& currentAction() { return op(30); }
   Program& argument() { return op(31); }
   Program& slice(std::uint32_t from, std::uint32_t bytes) { return op(32).w(from).w(bytes); }
   Program& grow(std::uint32_t pages) { return op(33).w(pages); }
   Program& ret(ByteView value) { return op(34).b(value); }
   Program& ret(Register) { return op(34).w(~0u); }
   Program& forget() { return op(35); }
   Program& fetchPart(std::uint32_t offset, std::uint32_t bytes) { return op(36).w(offset).w(bytes); }
   Program& again(std::uint32_t below) { return op(37).w(below); }
   Program& keySize() { return op(38); }
   Program& reply(ByteView data, std::uint32_t flags = 0) { return op(39).b(data).w(flags); }
   Program& reply(Register) { return op(39).w(~0u).w(0); }
   Program& ownFlags(std::uint32_t mask, std::uint32_t value) { return op(40).w(mask).w(value); }

   const Bytes& bytes() const { return bytes_; }

private:
   Program& op(std::uint8_t code) {
      bytes_.push_back(code);
      return *this;
   }
   Program& w(std::uint32_t v) { return raw(&v, sizeof v); }
   Program& q(std::uint64_t v) { return raw(&v, sizeof v); }
   Program& b(ByteView v) {
      w(static_cast<std::uint32_t>(v.size()));
      append(bytes_, v);
      return *this;
   }
   Program& raw(const void* v, std::size_t n) {
      append(bytes_, {static_cast<const std::uint8_t*>(v), n});
      return *this;
   }

   Bytes bytes_;
};

/// Reads the output of a program step by step.
class Output {
public:
   explicit Output(Bytes bytes) : bytes_(std::move(bytes)) {}
   std::uint32_t word() {
      std::uint32_t v = 0xDEADDEAD;
      EXPECT_LE(at_ + 4, bytes_.size());
      if (at_ + 4 <= bytes_.size())
         std::memcpy(&v, bytes_.data() + at_, 4);
      at_ += 4;
      return v;
   }
   std::string raw(std::size_t n) {
      EXPECT_LE(at_ + n, bytes_.size());
      if (at_ + n > bytes_.size())
         return {};
      std::string out = toText(ByteView(bytes_).subspan(at_, n));
      at_ += n;
      return out;
   }
   std::string text() { return raw(word()); }
   /// What get puts out: "-" for none.
   std::string found() {
      const std::uint32_t n = word();
      return n == ~0u ? "-" : raw(n);
   }
   bool done() const { return at_ == bytes_.size(); }

private:
   Bytes bytes_;
   std::size_t at_ = 0;
};

} // namespace polis::kernel
