#include "cli/advice.hpp"

#include <optional>

namespace polis::cli {

namespace {

/// What follows `mark` in `text`, up to a quote or its end.
std::optional<std::string> nameAfter(std::string_view text, std::string_view mark) {
   const auto at = text.find(mark);
   if (at == text.npos)
      return std::nullopt;
   text.remove_prefix(at + mark.size());
   return std::string(text.substr(0, text.find_first_of("\"' ")));
}

bool says(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

/// "service 'tokens' aborted with message: x": who said so, and x. Layers are taken off.
struct Reason {
   std::string_view service, message;
};

Reason reasonOf(std::string_view error) {
   constexpr std::string_view begin = "service '", middle = "' aborted with message: ";
   Reason reason{{}, error};
   while (reason.message.starts_with(begin)) {
      const auto end = reason.message.find(middle);
      if (end == reason.message.npos)
         break;
      reason = {reason.message.substr(begin.size(), end - begin.size()), reason.message.substr(end + middle.size())};
   }
   return reason;
}

std::string aboutKeys(const std::string& account, bool hasKeys) {
   if (!hasKeys)
      return account + " acts with a key: add --sign FILE with its private key.";
   return "The key that you signed with is not the one of " + account +
          ".\nCompare: polis key FILE shows yours, polis query auth-sig '/api/key?account=" + account +
          "' shows the account's.";
}

std::string adviceFor(std::string_view message, const Refused& refused) {
   const std::string sender(refused.sender);
   if (const auto name = nameAfter(message, "unknown sender \"")) {
      if (name->find('+') != name->npos)
         return "There is no account " + *name + ". Its package makes it: polis install again.";
      return "There is no account " + *name + " on this chain. Make it: polis create-account " + *name +
             " --key FILE\nIs it on another chain? Name that one's address with --url or POLIS_URL.";
   }
   if (const auto name = nameAfter(message, "not signed with the key of "))
      return aboutKeys(*name, refused.hasKeys);
   if (says(message, "key is not the first claim"))
      return aboutKeys(sender, refused.hasKeys) +
             (refused.hasKeys ? "\nThe key of the first action's sender comes first, before other --sign."
                              : "\nIf it belongs to another account, that one's key.");
   if (const auto name = nameAfter(message, "not authorized: "))
      return *name + " has not agreed. Sign with its key, or with the key of the account that owns it: --sign FILE\n" +
             "Who decides for it: polis query accounts '/api/account?name=" + *name + "'";
   if (says(message, "not enough producers have signed"))
      return sender +
             " belongs to the producers, and acts when enough of them have signed: one of one; with several "
             "more than half under CFT, and more than two thirds under BFT.\nAdd --sign FILE with the key of " +
             (refused.hasKeys ? "each one more" : "each") + ", or act under an account of your own: --sender NAME";
   for (const std::string_view mark : {"service account has no code: ", "unknown service account: "})
      if (const auto name = nameAfter(message, mark))
         return "No service runs on the account " + *name +
                ". Install its package: polis install FILE.psi\nWhat is there: polis query packages /api/installed";
   if (says(message, "insufficient resource balance") || says(message, "nsufficient CPU"))
      return "The account has not paid for enough processor time, network or storage. Buy more for it, or let another "
             "account act first: the first action's sender pays.";
   if (says(message, "timed out") || says(message, "CPU limit"))
      return "It needed more processor time than one transaction may take. Do less in one action, or split it.";
   if (says(message, "expired"))
      return "It was not carried out in time. Is the chain going on (polis status)? Is this machine's clock right? "
             "Then "
             "push it again.";
   if (says(message, "submitted too early") || says(message, "impossible expiration"))
      return "This machine's clock and the node's differ: compare `date -u` with the head of polis status.";
   if (says(message, "block of another chain"))
      return "The chain at that address is not the one that was asked before, perhaps started anew. Push it again.";
   if (says(message, "duplicate transaction"))
      return "It has been carried out before; there is nothing to do.";
   return {};
}

} // namespace

std::string explained(const Refused& refused) {
   const auto reason = reasonOf(refused.error);
   std::string text = "Nothing was changed: ";
   text += reason.message;
   if (!reason.service.empty())
      ((text += " (") += reason.service) += ")";
   if (const auto advice = adviceFor(reason.message, refused); !advice.empty())
      (text += "\n") += advice;
   return text;
}

} // namespace polis::cli
