#include "events_query.hpp"
#include "sql.hpp"

#include "packages/service/packages.hpp"
#include "x-admin/service/x_admin.hpp"

#include "format/dynamic.hpp"

#include <algorithm>
#include <charconv>

namespace polis::services {

namespace {

/// The events of one name in one log.
struct Source {
   EventDb log;
   AccountNumber service;
   MethodNumber event;
};

Source sourceOf(std::string_view table) {
   const auto first = table.find('.'), last = table.rfind('.');
   check(first != std::string_view::npos && first != last, "no such table: " + std::string(table));
   const auto log = table.substr(0, first);
   check(log == "history" || log == "merkle", "no such table: " + std::string(table));
   return {log == "history" ? EventDb::history : EventDb::merkle,
           AccountNumber{table.substr(first + 1, last - first - 1)}, MethodNumber{table.substr(last + 1)}};
}

/// How the events of a source are read.
class Reader {
public:
   explicit Reader(const Source& source) {
      const auto schema = to<Packages>().getSchema(source.service);
      if (!schema)
         abortMessage("no schema is known for " + source.service.str());
      const auto& events = source.log == EventDb::history ? schema->history : schema->merkle;
      const auto found = std::ranges::find_if(
          events, [&](const auto& entry) { return MethodNumber{std::string_view(entry.first)} == source.event; });
      if (found == events.end())
         abortMessage("no such event of " + source.service.str());
      auto compiled = format::CompiledSchema::compile(schema->types);
      check(compiled.has_value(), "the service's schema cannot be used");
      schema_.emplace(std::move(*compiled));
      const auto type = schema_->add(found->second.type);
      check(type.has_value(), "the service's schema cannot be used");
      type_ = *type;
   }
   /// As JSON; nothing: the bytes are no event of this type.
   std::optional<std::string> json(ByteView event) const {
      auto text = schema_->toJson(type_, event);
      return text ? std::optional(std::move(*text)) : std::nullopt;
   }

private:
   std::optional<format::CompiledSchema> schema_;
   format::TypeId type_ = 0;
};

/// One event: its members as JSON text and, where they are simple, as values.
struct Row {
   struct Member {
      std::string name; ///< as the schema has it
      std::string json;
      sql::Value value;
   };
   std::uint64_t id = 0;
   std::vector<Member> members;

   Row(std::uint64_t number, const std::string& json) : id(number) {
      format::JsonReader reader(json);
      reader.advance();
      while (reader.token() == format::JsonToken::key) {
         Member member;
         member.name = reader.text();
         reader.advance();
         std::string text;
         format::JsonWriter writer(text);
         member.value = copy(reader, writer);
         member.json = std::move(text);
         members.push_back(std::move(member));
      }
   }
   static std::string small(std::string_view name) {
      std::string out(name);
      std::ranges::transform(out, out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; });
      return out;
   }
   std::optional<sql::Value> column(std::string_view name) const {
      if (name == "rowid")
         return sql::Value(static_cast<std::int64_t>(id));
      for (const auto& member : members)
         if (small(member.name) == name)
            return member.value;
      return std::nullopt;
   }

private:
   /// Copies a JSON value and moves behind it. Lists and structs have no value to compare.
   static sql::Value copy(format::JsonReader& reader, format::JsonWriter& writer) {
      using enum format::JsonToken;
      sql::Value value;
      switch (reader.token()) {
      case boolean:
         value = std::int64_t{reader.boolean()};
         writer.boolean(reader.boolean());
         break;
      case number: {
         const std::string text(reader.text());
         writer.raw(text);
         std::int64_t integer = 0;
         const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), integer);
         if (error == std::errc() && end == text.data() + text.size())
            value = integer;
         else
            value = std::strtod(text.c_str(), nullptr);
         break;
      }
      case string:
         value = std::string(reader.text());
         writer.string(reader.text());
         break;
      case beginArray:
         writer.beginArray();
         for (reader.advance(); reader.token() != endArray && reader.token() != error;)
            copy(reader, writer);
         writer.endArray();
         break;
      case beginObject:
         writer.beginObject();
         for (reader.advance(); reader.token() == key;) {
            writer.key(reader.text());
            reader.advance();
            copy(reader, writer);
         }
         writer.endObject();
         break;
      default:
         writer.null();
      }
      reader.advance();
      return value;
   }
};

/// given: what the query itself holds beside the row.
void writeRow(format::JsonWriter& writer, const sql::Select& select, const Row& row,
              const std::vector<std::int64_t>& given = {}) {
   writer.beginObject();
   for (const auto& [column, ofGiven] : select.columns) {
      if (ofGiven) {
         writer.key(column);
         writer.integer(given[*ofGiven]);
         continue;
      }
      if (column == "rowid") {
         writer.key("rowid");
         writer.unsignedInteger(row.id, true);
         continue;
      }
      bool isThere = column == "*";
      for (const auto& member : row.members)
         if (column == "*" || Row::small(member.name) == column) {
            isThere = true;
            writer.key(member.name);
            writer.raw(member.json);
         }
      check(isThere, "no such column: " + column);
   }
   writer.endObject();
}

template <class Log>
std::vector<Row> rowsOf(const sql::Select& select, const Source& source, const Reader& reader) {
   const auto [low, high] = select.rowBounds();
   const bool byNumber = select.orderBy == "rowid";
   const bool backward = byNumber && select.descending;
   auto entries = openOf<Log>(Events::account).template index<0>().range();
   if (!backward)
      entries = entries.from(low);
   else if (high != UINT64_MAX)
      entries = entries.reverse().from(high + 1);
   else
      entries = entries.reverse();
   std::vector<Row> rows;
   std::size_t seen = 0;
   for (const EventRecord& entry : entries) {
      if (backward ? entry.id < low : entry.id > high)
         break;
      if (byNumber && select.limit && rows.size() >= *select.limit)
         break;
      check(++seen <= EventsQuery::entriesMax, "the query looks at too many events; ask for fewer by ROWID");
      if (entry.service != source.service || entry.type != source.event)
         continue;
      const auto json = reader.json(entry.rawData);
      if (!json)
         continue; // of an older type
      Row row(entry.id, *json);
      const auto is = sql::matches(select, [&](std::string_view column) { return row.column(column); });
      if (!is)
         abortMessage(is.error());
      if (!*is)
         continue;
      check(rows.size() < EventsQuery::rowsMax, "the query has too many rows; ask with LIMIT");
      rows.push_back(std::move(row));
   }
   if (!byNumber) {
      std::ranges::stable_sort(rows, [&](const Row& a, const Row& b) {
         const auto x = a.column(select.orderBy), y = b.column(select.orderBy);
         check(x && y, "no such column: " + select.orderBy);
         const int difference = sql::order(*x, *y);
         return select.descending ? difference > 0 : difference < 0;
      });
      if (select.limit && rows.size() > *select.limit)
         rows.erase(rows.begin() + static_cast<std::ptrdiff_t>(*select.limit), rows.end());
   }
   return rows;
}

/// Of each given number, the newest event up to it; those without one are left out.
template <class Log>
void writeNewest(format::JsonWriter& writer, const sql::Select& select, const Source& source, const Reader& reader) {
   std::size_t seen = 0;
   for (const auto& given : select.given->rows) {
      const auto upTo = given[select.given->upTo];
      for (const EventRecord& entry : openOf<Log>(Events::account)
                                          .template index<0>()
                                          .range()
                                          .reverse()
                                          .from(static_cast<std::uint64_t>(upTo) + 1)) {
         check(++seen <= EventsQuery::entriesMax, "the query looks at too many events");
         if (entry.service != source.service || entry.type != source.event)
            continue;
         if (const auto json = reader.json(entry.rawData)) {
            writeRow(writer, select, Row(entry.id, *json), given);
            break;
         }
      }
   }
}

template <class Log>
void writeRows(format::JsonWriter& writer, const sql::Select& select, const Source& source, const Reader& reader) {
   if (select.given)
      return writeNewest<Log>(writer, select, source, reader);
   for (const auto& row : rowsOf<Log>(select, source, reader))
      writeRow(writer, select, row);
}

} // namespace

std::string EventsQuery::sqlQuery(std::string query, std::vector<std::string> params) {
   const auto select = sql::parse(query, params);
   if (!select)
      abortMessage("SQL: " + select.error());
   const auto source = sourceOf(select->table);
   const Reader reader(source);
   std::string out;
   format::JsonWriter writer(out);
   writer.beginArray();
   if (source.log == EventDb::history)
      writeRows<Events::History>(writer, *select, source, reader);
   else
      writeRows<Events::Merkle>(writer, *select, source, reader);
   writer.endArray();
   return out;
}

std::optional<HttpReply> EventsQuery::serveSys(HttpRequest request, std::optional<std::int32_t> socket,
                                               std::optional<AccountNumber>) {
   if (pathOf(request) != "/sql" || request.method == "OPTIONS")
      return std::nullopt;
   if (request.method != "POST")
      return methodNotAllowed("POST");
   HttpRequest head = request;
   head.body.clear();
   if (auto refused = to<XAdmin>().checkAuth(std::move(head), socket))
      return refused;
   return httpReply(200, "application/json", sqlQuery(std::string(asText(request.body)), {}));
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::EventsQuery)
