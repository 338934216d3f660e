#include "events.hpp"

#include "packages/service/packages.hpp"

#include <algorithm>

namespace polis::services {

namespace {

constexpr AccountNumber transactService{"transact"};

Checksum256 leafOf(const EventRecord& record) {
   Bytes bytes{0};
   packInto(bytes, record);
   return sha256(ByteView(bytes));
}

Checksum256 join(const Checksum256& left, const Checksum256& right) {
   std::array<std::uint8_t, 65> bytes{1};
   std::copy(left.begin(), left.end(), bytes.begin() + 1);
   std::copy(right.begin(), right.end(), bytes.begin() + 33);
   return sha256(ByteView(bytes));
}

/// A new leaf closes as many full subtrees as the count has trailing ones.
void push(EventMerkle& tree, Checksum256 hash) {
   for (auto count = tree.i; count & 1; count >>= 1) {
      hash = join(tree.stack.back(), hash);
      tree.stack.pop_back();
   }
   tree.stack.push_back(hash);
   ++tree.i;
}

Checksum256 rootOf(const EventMerkle& tree) {
   if (tree.stack.empty())
      return {};
   auto root = tree.stack.back();
   for (auto at = tree.stack.size() - 1; at-- > 0;)
      root = join(tree.stack[at], root);
   return root;
}

/// How many members the events of this name have, by the service's schema. Nothing: it has no such events.
std::optional<std::size_t> columnsOf(EventDb log, AccountNumber service, MethodNumber event) {
   const auto schema = to<Packages>().getSchema(service);
   if (!schema)
      return std::nullopt;
   const auto& events = log == EventDb::history ? schema->history : schema->merkle;
   const auto found = std::ranges::find_if(
       events, [&](const auto& entry) { return MethodNumber{std::string_view(entry.first)} == event; });
   if (found == events.end())
      return std::nullopt;
   const format::AnyType* type = &found->second.type;
   for (std::size_t names = 0; names <= schema->types.size(); ++names) {
      const auto* name = std::get_if<format::TypeName>(&type->kind);
      const auto named = name ? schema->types.find(name->name) : schema->types.end();
      if (named == schema->types.end())
         break;
      type = &named->second;
   }
   if (const auto* object = std::get_if<format::ObjectType>(&type->kind))
      return object->members.size();
   if (const auto* plain = std::get_if<format::StructType>(&type->kind))
      return plain->members.size();
   return std::nullopt;
}

void checkLog(std::uint8_t db) { check(db <= static_cast<std::uint8_t>(EventDb::merkle), "unknown event log"); }

} // namespace

void Events::init() {}

void Events::addIndex(std::uint8_t db, AccountNumber service, MethodNumber event, std::uint8_t column) {
   checkLog(db);
   check(getSender() == service, "Wrong sender");
   const auto columns = columnsOf(static_cast<EventDb>(db), service, event);
   check(columns.has_value(), "Unknown event");
   check(column < *columns, "Unknown column");
   auto table = open<Indexes>(Mode::readWrite);
   auto row = table.get(db, service, event).value_or(SecondaryIndex{db, service, event, {}});
   if (std::ranges::contains(row.indexes, EventColumn{column}))
      return;
   row.indexes.push_back({column});
   table.put(row);
}

std::uint64_t Events::event(std::uint8_t db, MethodNumber type, Bytes rawData) {
   checkLog(db);
   auto numbers = open<Numbers>(Mode::readWrite);
   auto number = numbers.get(db).value_or(EventNumber{db, 1});
   const EventRecord record{number.next, getSender(), type, std::move(rawData)};
   ++number.next;
   numbers.put(number);
   KvSpace{Db::writeOnly, account.value}.put(polis::sdk::detail::makeKey(db, 0, record.id), pack(record));
   if (db == static_cast<std::uint8_t>(EventDb::merkle)) {
      auto merkle = open<MerkleTable>(Mode::readWrite);
      auto tree = merkle.get().value_or(EventMerkle{});
      push(tree, leafOf(record));
      merkle.put(tree);
   }
   return record.id;
}

void Events::startBlock() {
   check(getSender() == transactService, "only transact starts blocks");
   auto merkle = open<MerkleTable>();
   if (merkle.contains())
      merkle.erase();
}

Checksum256 Events::saveMerkle() {
   check(getSender() == transactService, "only transact saves the event tree");
   const auto tree = open<MerkleTable>(Mode::readWrite).get();
   return tree ? rootOf(*tree) : Checksum256{};
}

void Events::sync() { check(getSender() == transactService, "only transact syncs"); }

} // namespace polis::services

POLIS_DISPATCH(polis::services::Events)
