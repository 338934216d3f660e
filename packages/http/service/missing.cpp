#include "missing.hpp"

#include "html.hpp"

namespace polis::services {

namespace {

/// Words between backticks are commands.
std::string htmlOf(std::string_view text) {
   std::string out;
   bool command = false;
   for (auto at = text.find('`'); at != text.npos; at = text.find('`')) {
      (out += escapedHtml(text.substr(0, at))) += command ? "</code>" : "<code>";
      command = !command;
      text.remove_prefix(at + 1);
   }
   return out += escapedHtml(text);
}

struct Words {
   std::string title, why, advice;
};

Words wordsFor(const MissingPage& page) {
   const std::string name(page.name);
   constexpr std::size_t freeNameMinLength = 8;
   const std::string make = name.size() < freeNameMinLength
                                ? "New names have 8 to 10 characters."
                                : "To put one here: `polis new app " + name + "`, then `./dev` in its folder.";
   switch (page.what) {
   case Missing::page:
      return {"No such page", name + " has nothing at this address.", "Its first page may lead you on."};
   case Missing::app:
      return {"No app here yet", "The account " + name + " exists, but no app is installed on it.",
              "If it is yours: `polis install FILE.psi`, or `polis upload -r FOLDER / --sender " + name + "`."};
   case Missing::account:
      return {"No app here yet", "Nobody has taken the name " + name + ".", make};
   case Missing::name:
      return {"No app here", "No account can have this name, so no app can be here.",
              "Names have at most 10 characters, a-z, 0-9 and -."};
   }
   return {};
}

constexpr std::string_view style =
    "body{font:1rem/1.6 system-ui,sans-serif;max-width:36rem;margin:4rem auto;padding:0 1rem}"
    "h1{font-size:1.6rem}code{overflow-wrap:anywhere}";

std::string pageOf(const MissingPage& page, const Words& words) {
   std::string html = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
                      "<meta name=\"color-scheme\" content=\"light dark\"><title>";
   html += words.title;
   ((html += "</title><style>") += style) += "</style></head><body><h1>";
   ((html += words.title) += "</h1><p><code>") += escapedHtml(page.host);
   ((html += escapedHtml(page.path)) += "</code></p><p>") += escapedHtml(words.why);
   ((html += "</p><p>") += htmlOf(words.advice)) += "</p><p>";
   if (page.what == Missing::page)
      html += "<a href=\"/\">First page of this app</a> · ";
   return ((html += "<a href=\"") += escapedHtml(page.rootUrl)) +=
          "\">What there is on this network</a></p></body></html>\n";
}

struct ErrorText {
   std::string error;
};

} // namespace

HttpReply missingReply(const MissingPage& page, std::string_view accept) {
   const auto words = wordsFor(page);
   const bool html = accept.find("text/html") != accept.npos;
   HttpReply reply;
   if (html) {
      reply = httpReply(404, "text/html", pageOf(page, words), allowCors());
      reply.headers.push_back({"Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"});
   } else {
      std::string text = "The resource '" + std::string(page.path) + "' was not found.";
      if (page.what != Missing::page)
         ((((text += " ") += words.title) += ": ") += words.why) += " " + words.advice;
      if (accept.find("application/json") != accept.npos)
         reply = httpReply(404, "application/json", toJson(ErrorText{std::move(text)}), allowCors());
      else
         reply = httpReply(404, "text/html", escapedHtml(text) + "\n", allowCors());
   }
   reply.headers.push_back({"X-Content-Type-Options", "nosniff"});
   return reply;
}

} // namespace polis::services
