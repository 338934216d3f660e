#include "@ident@.hpp"

#include <polis/native.hpp>

namespace @ident@ {

std::uint32_t @App@::add(std::string text) {
   check(!text.empty() && text.size() <= textBytesMax, "a text has 1 to 280 bytes");
   const auto entries = open<Entries>(Mode::readWrite);
   const auto last = entries.last();
   const std::uint32_t id = last ? last->id + 1 : 1;
   entries.put({.id = id, .author = getSender(), .text = std::move(text), .time = currentBlockTime()});
   return id;
}

void @App@::remove(std::uint32_t id) {
   const auto entries = open<Entries>(Mode::readWrite);
   const auto entry = entries.get(id);
   check(entry.has_value(), "there is no such entry");
   check(entry->author == getSender(), "only its author may remove an entry");
   entries.remove(*entry);
}

} // namespace @ident@

POLIS_DISPATCH(@ident@::@App@)
