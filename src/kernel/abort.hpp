// How an action fails.
#pragma once

#include <exception>
#include <string>
#include <utility>

namespace polis::kernel {

/// The running action fails with this text, and with it the whole context. Thrown by host functions and by rules
/// inside a context; caught where the context was started and at a run-mode switch, nowhere else.
class Abort : public std::exception {
public:
   explicit Abort(std::string text) : text_(std::move(text)) {}
   const char* what() const noexcept override { return text_.c_str(); }
   const std::string& text() const { return text_; }

private:
   std::string text_;
};

} // namespace polis::kernel
