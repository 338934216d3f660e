#pragma once

#include <string>
#include <string_view>

namespace polis::services {

/// Text as HTML shows it. What a request says must not become a part of the page that answers it.
inline std::string escapedHtml(std::string_view text) {
   std::string out;
   for (const char c : text)
      switch (c) {
      case '&':
         out += "&amp;";
         break;
      case '<':
         out += "&lt;";
         break;
      case '>':
         out += "&gt;";
         break;
      case '"':
         out += "&quot;";
         break;
      default:
         out += c;
      }
   return out;
}

} // namespace polis::services
