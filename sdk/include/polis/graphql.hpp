#pragma once
// GraphQL for a service's queries, from plain structs and functions.
//
//    struct Query {
//       std::optional<Token> token(std::uint32_t tokenId) const;
//       Connection<Token> tokens(Page<std::uint32_t> page) const {
//          return connection(openOf<Tokens::TokenTable>(Tokens::account).index<0>(), page);
//       }
//    };
//    POLIS_GRAPHQL(Query, field(token, tokenId), field(tokens, page))
//    …
//    if (auto reply = serveGraphql(Query{}, request)) return reply;      // in serveSys
//
// Fields of an answer are the members of the struct that a function returns; a struct with functions of its own
// declares them with POLIS_GRAPHQL, too. A Page parameter becomes the arguments gt, ge, lt, le, first, last, before,
// after. Numbers wider than 32 bits are strings. See docs/graphql.md.

#include <polis/graphql_core.hpp>
#include <polis/http.hpp>
#include <polis/service.hpp>

#include <algorithm>

namespace polis::sdk {

/// Which rows of an index are wanted: keys in bounds, then so many from one end, beside a cursor.
template <class K>
struct Page {
   std::optional<K> gt, ge, lt, le;
   std::optional<std::uint32_t> first, last;
   /// Cursors that an earlier answer gave.
   std::optional<std::string> before, after;
};

struct PageInfo {
   bool hasPreviousPage = false;
   bool hasNextPage = false;
   std::string startCursor;
   std::string endCursor;
};

template <class T>
struct Edge {
   T node;
   std::string cursor;
};

template <class T>
struct Connection {
   PageInfo pageInfo;
   std::vector<Edge<T>> edges;
   /// The edges' nodes alone.
   std::vector<T> nodes() const {
      std::vector<T> out;
      out.reserve(edges.size());
      for (const auto& edge : edges)
         out.push_back(edge.node);
      return out;
   }
};

namespace graphql {

template <class T>
inline constexpr bool isConnection = false;
template <class T>
inline constexpr bool isConnection<Connection<T>> = true;
template <class T>
inline constexpr bool isEdge = false;
template <class T>
inline constexpr bool isEdge<Edge<T>> = true;
template <class T>
inline constexpr bool isPage = false;
template <class K>
inline constexpr bool isPage<Page<K>> = true;

/// Structs with functions, declared by POLIS_GRAPHQL.
template <class T>
concept HasFunctions = requires(const T* t) { polisGraphqlFields(t); };

/// Structs that are one text in JSON.
template <class T>
concept TextType = format::json::SelfWriting<T> || std::is_same_v<T, TimePointSec> || std::is_same_v<T, TimePointUSec>;

template <class T>
concept ObjectType = HasFunctions<T> || (Struct<T> && !TextType<T>);

/// One of several objects: a union, whose fragments say which fields are wanted of which.
template <class T>
inline constexpr bool isUnion = false;
template <class... A>
inline constexpr bool isUnion<std::variant<A...>> = (ObjectType<A> && ...);

template <class T>
concept UnionType = isUnion<T>;

template <class T>
concept ListType = Vector<T> && !format::json::ByteList<T>;

template <ObjectType T>
std::string typeName() {
   if constexpr (isConnection<T>)
      return typeName<decltype(T::edges.front().node)>() + "Connection";
   else if constexpr (isEdge<T>)
      return typeName<decltype(T::node)>() + "Edge";
   else
      return std::string(declaredName<T>());
}
template <UnionType T>
std::string typeName() {
   return []<class First, class... A>(std::type_identity<std::variant<First, A...>>) {
      return (typeName<First>() + ... + ("Or" + typeName<A>()));
   }(std::type_identity<T>());
}
template <class T>
   requires(!ObjectType<T> && !UnionType<T>)
std::string typeName() {
   if constexpr (std::is_same_v<T, bool>)
      return "Boolean";
   else if constexpr (std::is_arithmetic_v<T> && (sizeof(T) <= 4 || std::is_floating_point_v<T>))
      return "Float";
   else
      return "String";
}

template <class T>
const TypeInfo& typeInfo();

/// "Token!" and the like.
template <class T>
std::string spelled(Describer& describer, bool required = true) {
   if constexpr (Optional<T>)
      return spelled<typename T::value_type>(describer, false);
   else if constexpr (ListType<T>)
      return "[" + spelled<typename T::value_type>(describer) + "]" + (required ? "!" : "");
   else {
      if constexpr (ObjectType<T> || UnionType<T>)
         describer.add(typeInfo<T>());
      return typeName<T>() + (required ? "!" : "");
   }
}

template <class T>
void emit(Execution& execution, const T& value, const Asked& asked) {
   if (execution.failed())
      return;
   if constexpr (Optional<T>) {
      if (value)
         emit(execution, *value, asked);
      else
         execution.writer.null();
   } else if constexpr (ListType<T>) {
      execution.writer.beginArray();
      for (const auto& item : value) {
         if (!execution.charge(1))
            return;
         emit(execution, item, asked);
      }
      execution.writer.endArray();
   } else if constexpr (ObjectType<T>) {
      execution.object(typeInfo<T>(), &value, asked);
   } else if constexpr (UnionType<T>) {
      std::visit([&](const auto& one) { emit(execution, one, asked); }, value);
   } else if (execution.leaf(asked)) {
      writeJson(execution.writer, value);
   }
}

template <class T, std::size_t i>
void resolveMember(Execution& execution, const void* object, const Asked& asked) {
   if (execution.onlyArguments(asked, {}))
      emit(execution, polis::format::field<i>(*static_cast<const T*>(object)), asked);
}

/// One function as declared: its name and its parameters'.
template <auto function, std::size_t parameters>
struct FunctionInfo {
   static constexpr auto member = function;
   std::string_view name;
   std::array<std::string_view, parameters> parameterNames;
};

template <auto function, class... Names>
constexpr auto describeFunction(std::string_view name, Names... names) {
   static_assert(std::tuple_size_v<typename sdk::detail::MethodTraits<std::remove_cv_t<decltype(function)>>::Args> ==
                     sizeof...(Names),
                 "a field names each of its parameters");
   return FunctionInfo<function, sizeof...(Names)>{name, {std::string_view(names)...}};
}

template <class T>
struct ConnectionFunctions {
   static constexpr auto list = std::tuple(describeFunction<&Connection<T>::nodes>("nodes"));
};

template <class T>
bool readOne(Execution& execution, const Asked& asked, std::string_view name, T& out) {
   const auto json = execution.argument(asked, name);
   if (!json) {
      if constexpr (Optional<T>)
         return true;
      execution.fail(asked.first->name + " needs the argument " + std::string(name), asked.first->offset);
      return false;
   }
   JsonReader reader(*json);
   bool good;
   if constexpr (Optional<T>)
      good = readJson(reader, out.emplace());
   else
      good = readJson(reader, out);
   if (!good || reader.token() != JsonToken::end)
      execution.fail("argument " + std::string(name) + " of " + asked.first->name + ": " +
                         (reader.error().message.empty() ? "malformed" : reader.error().message),
                     asked.first->offset);
   return !execution.failed();
}

inline constexpr std::initializer_list<std::string_view> pageArguments = {"gt",    "ge",   "lt",     "le",
                                                                          "first", "last", "before", "after"};

template <class T>
bool readParameter(Execution& execution, const Asked& asked, std::string_view name, T& out) {
   if constexpr (isPage<T>)
      return readOne(execution, asked, "gt", out.gt) && readOne(execution, asked, "ge", out.ge) &&
             readOne(execution, asked, "lt", out.lt) && readOne(execution, asked, "le", out.le) &&
             readOne(execution, asked, "first", out.first) && readOne(execution, asked, "last", out.last) &&
             readOne(execution, asked, "before", out.before) && readOne(execution, asked, "after", out.after);
   else
      return readOne(execution, asked, name, out);
}

template <class T>
void spellParameter(std::string& out, std::string_view name) {
   const auto add = [&out](std::string_view what, const std::string& type) {
      out += (out.size() > 1 ? ", " : "") + std::string(what) + ": " + type;
   };
   if constexpr (isPage<T>) {
      const std::string key = typeName<typename decltype(T::gt)::value_type>();
      for (const char* bound : {"gt", "ge", "lt", "le"})
         add(bound, key);
      add("first", "Float");
      add("last", "Float");
      add("before", "String");
      add("after", "String");
   } else if constexpr (Optional<T>) {
      add(name, typeName<typename T::value_type>());
   } else {
      add(name, typeName<T>() + "!");
   }
}

/// Field `i` of POLIS_GRAPHQL's list of T.
template <class T, std::size_t i>
struct FunctionField {
   static constexpr const auto& info() { return std::get<i>(polisGraphqlFields(static_cast<const T*>(nullptr))); }
   using Info = std::remove_cvref_t<decltype(info())>;
   using Traits = sdk::detail::MethodTraits<std::remove_cv_t<decltype(Info::member)>>;
   using Args = typename Traits::Args;
   using Result = std::remove_cvref_t<typename Traits::Result>;

   static void resolve(Execution& execution, const void* object, const Asked& asked) {
      Args args;
      bool good = true;
      [&]<std::size_t... k>(std::index_sequence<k...>) {
         ((good = good && readParameter(execution, asked, info().parameterNames[k], std::get<k>(args))), ...);
         if constexpr ((isPage<std::tuple_element_t<k, Args>> || ...))
            good = good && execution.onlyArguments(asked, {"gt", "ge", "lt", "le", "first", "last", "before", "after",
                                                           info().parameterNames[k]...});
         else
            good = good && execution.onlyArguments(asked, {info().parameterNames[k]...});
      }(std::make_index_sequence<std::tuple_size_v<Args>>());
      if (!good)
         return;
      const auto invoke = [&](auto&... arg) {
         return (static_cast<const T*>(object)->*Info::member)(std::move(arg)...);
      };
      const Result result = std::apply(invoke, args);
      emit(execution, result, asked);
   }
   static std::string type(Describer& describer) { return spelled<Result>(describer); }
   static std::string arguments(Describer&) {
      std::string out = "(";
      [&]<std::size_t... k>(std::index_sequence<k...>) {
         (spellParameter<std::tuple_element_t<k, Args>>(out, info().parameterNames[k]), ...);
      }(std::make_index_sequence<std::tuple_size_v<Args>>());
      return out + ")";
   }
   static constexpr FieldInfo field{info().name, &resolve, &type, std::tuple_size_v<Args> ? &arguments : nullptr};
};

template <class T, std::size_t i>
std::string memberType(Describer& describer) {
   return spelled<FieldType<T, i>>(describer);
}

template <class T>
struct FieldsOf {
   static constexpr std::size_t members = [] {
      if constexpr (Aggregate<T>)
         return fieldCount<T>;
      else
         return std::size_t{0};
   }();
   static constexpr std::size_t functions = [] {
      if constexpr (HasFunctions<T>)
         return std::tuple_size_v<std::remove_cvref_t<decltype(polisGraphqlFields(static_cast<const T*>(nullptr)))>>;
      else
         return std::size_t{0};
   }();
   static constexpr auto list = [] {
      std::array<FieldInfo, members + functions> out{};
      [&]<std::size_t... i>(std::index_sequence<i...>) {
         ((out[i] = FieldInfo{fieldName<T, i>, &resolveMember<T, i>, &memberType<T, i>, nullptr}), ...);
      }(std::make_index_sequence<members>());
      [&]<std::size_t... i>(std::index_sequence<i...>) {
         ((out[members + i] = FunctionField<T, i>::field), ...);
      }(std::make_index_sequence<functions>());
      return out;
   }();
};

/// The alternatives of a union, as fields without a name.
template <class T>
struct AlternativesOf;
template <class... A>
struct AlternativesOf<std::variant<A...>> {
   static constexpr std::array<FieldInfo, sizeof...(A)> list{
       FieldInfo{{}, nullptr, [](Describer& describer) { return spelled<A>(describer, false); }, nullptr}...};
};

template <class T>
const TypeInfo& typeInfo() {
   if constexpr (UnionType<T>) {
      static constexpr TypeInfo info{&typeName<T>, AlternativesOf<T>::list.data(), AlternativesOf<T>::list.size(),
                                     true};
      return info;
   } else {
      static constexpr TypeInfo info{&typeName<T>, FieldsOf<T>::list.data(), FieldsOf<T>::list.size(), false};
      return info;
   }
}

/// What became of a row: what is answered of it, or nothing.
template <class T>
struct Described {
   using Node = T;
   T node;
   static constexpr bool has() { return true; }
   T take() { return std::move(node); }
};
template <class T>
struct Described<std::optional<T>> {
   using Node = T;
   std::optional<T> node;
   bool has() const { return node.has_value(); }
   T take() { return std::move(*node); }
};

} // namespace graphql

/// One page of an index. prefix: key parts that all rows share, before those that `page` bounds.
/// describe: makes what is answered of a row; where it returns an optional, rows without are left out, as if they were
/// not there.
template <class T, std::size_t n, class K, class Describe, class... Prefix>
auto connectionOf(const IndexRef<T, n>& index, const Page<K>& page, Describe&& describe, const Prefix&... prefix) {
   using Described =
       graphql::Described<std::remove_cvref_t<decltype(describe(std::declval<const typename T::Row&>()))>>;
   Connection<typename Described::Node> out;
   graphql::Execution& execution = *graphql::current;
   if (page.first && page.last) {
      execution.fail("ask for first or last, not both");
      return out;
   }
   // Positions are index keys without the table's prefix. Rows lie in [low, high); no high: to the end.
   Bytes base;
   (appendKey(base, prefix), ...);
   const auto keyAt = [&](const K& key) {
      Bytes at = base;
      appendKey(at, key);
      return at;
   };
   // The least position after every one that starts with `at`.
   const auto past = [](Bytes at) {
      while (!at.empty() && at.back() == 0xff)
         at.pop_back();
      if (!at.empty())
         ++at.back();
      return at;
   };
   Bytes low = base;
   std::optional<Bytes> high;
   if (Bytes end = past(base); !end.empty())
      high = std::move(end);
   const auto raise = [](Bytes& to, Bytes with) {
      if (to < with)
         to = std::move(with);
   };
   const auto lower = [](std::optional<Bytes>& to, Bytes with) {
      if (!to || with < *to)
         to = std::move(with);
   };
   if (page.ge)
      raise(low, keyAt(*page.ge));
   if (page.gt) {
      Bytes at = past(keyAt(*page.gt));
      if (at.empty())
         return out; // nothing is greater
      raise(low, std::move(at));
   }
   if (page.lt)
      lower(high, keyAt(*page.lt));
   if (page.le)
      if (Bytes at = past(keyAt(*page.le)); !at.empty())
         lower(high, std::move(at));
   const Bytes lowest = low;
   const std::optional<Bytes> highest = high;
   const auto cursorAt = [&](const std::string& text) {
      Bytes at;
      if (text.size() % 2)
         execution.fail("malformed cursor");
      for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
         const int a = hexDigit(text[i]), b = hexDigit(text[i + 1]);
         if ((a | b) < 0)
            execution.fail("malformed cursor");
         at.push_back(static_cast<std::uint8_t>(a << 4 | b));
      }
      if (at.size() > 128)
         execution.fail("malformed cursor");
      return at;
   };
   if (page.after) {
      Bytes at = cursorAt(*page.after);
      at.push_back(0);
      raise(low, std::move(at));
   }
   if (page.before)
      lower(high, cursorAt(*page.before));
   if (execution.failed())
      return out;

   const bool backward = page.last.has_value();
   const std::size_t wanted = std::min<std::size_t>(
       page.first.value_or(page.last.value_or(graphql::limits::pageRowsMax)), graphql::limits::pageRowsMax);
   const auto within = [&](ByteView position, const Bytes& from, const std::optional<Bytes>& to) {
      const Bytes at(position.begin(), position.end());
      return at >= from && (!to || at < *to);
   };
   const auto all = index.range(prefix...);
   const auto forward = [&](const Bytes& from) { return all.startAt(from).begin(); };
   const auto reverse = [&](const std::optional<Bytes>& from) {
      return (from ? all.reverse().startAt(*from) : all.reverse()).begin();
   };
   bool more = false;
   for (auto it = backward ? reverse(high) : forward(low); it != std::default_sentinel; ++it) {
      if (!execution.charge(1))
         return out;
      if (!within(it.position(), low, high))
         break;
      Described node{describe(*it)};
      if (!node.has())
         continue;
      if (out.edges.size() == wanted) {
         more = true;
         break;
      }
      out.edges.push_back({node.take(), toHex(it.position())});
   }
   if (backward)
      std::reverse(out.edges.begin(), out.edges.end());
   auto& info = out.pageInfo;
   if (!out.edges.empty()) {
      info.startCursor = out.edges.front().cursor;
      info.endCursor = out.edges.back().cursor;
   }
   // The other side: is there a row within the bounds, but beyond the cursor?
   const auto anyOf = [&](auto it) {
      for (; it != std::default_sentinel && within(it.position(), lowest, highest) && execution.charge(1); ++it)
         if (Described{describe(*it)}.has())
            return true;
      return false;
   };
   if (backward) {
      info.hasPreviousPage = more;
      if (page.before)
         info.hasNextPage = anyOf(forward(high.value_or(low)));
   } else {
      info.hasNextPage = more;
      if (page.after)
         info.hasPreviousPage = anyOf(reverse(low));
   }
   return out;
}

/// One page of an index, rows as they are.
template <class T, std::size_t n, class K, class... Prefix>
auto connection(const IndexRef<T, n>& index, const Page<K>& page, const Prefix&... prefix) {
   return connectionOf(index, page, [](const typename T::Row& row) { return row; }, prefix...);
}

template <class T>
constexpr const auto& polisGraphqlFields(const Connection<T>*) {
   return graphql::ConnectionFunctions<T>::list;
}

namespace graphql {

inline constexpr std::string_view page = R"html(<!doctype html>
<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>GraphQL</title>
<style>
body{font:15px/1.4 system-ui,sans-serif;margin:0;display:grid;grid-template:auto 1fr/1fr 1fr;height:100vh;color:#222;background:#fff}
header{grid-column:1/3;padding:.5rem 1rem;display:flex;gap:1rem;align-items:center;border-bottom:1px solid #ccc}
textarea,pre{font:14px/1.4 ui-monospace,monospace;margin:0;padding:1rem;border:0;overflow:auto;resize:none;background:inherit;color:inherit}
textarea{border-right:1px solid #ccc;outline-offset:-2px}button{font:inherit;padding:.3rem 1rem}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#1b1b1b}}
@media(max-width:700px){body{grid-template:auto 1fr 1fr/1fr}header{grid-column:1}}
</style>
<header><b id="service">GraphQL</b><button id="run" title="Ctrl+Enter">Run</button><button id="schema">Schema</button><span id="state" role="status"></span></header>
<textarea id="query" aria-label="Query" spellcheck="false"></textarea><pre id="answer" aria-live="polite"></pre>
<script>
const $=id=>document.getElementById(id);$("service").textContent=location.hostname.split(".")[0]+": GraphQL";
$("query").value=new URLSearchParams(location.search).get("query")||"{\n  __typename\n}\n";
const get=async(...r)=>{$("state").textContent="…";const t=performance.now();try{const a=await fetch(...r),x=await a.text();
$("state").textContent=a.status+" · "+Math.round(performance.now()-t)+" ms";return x}catch(e){$("state").textContent="failed";return String(e)}};
const run=async()=>{const q=$("query").value;history.replaceState(null,"","?query="+encodeURIComponent(q));
const x=await get("/graphql",{method:"POST",headers:{"Content-Type":"application/graphql"},body:q});
try{$("answer").textContent=JSON.stringify(JSON.parse(x),null,2)}catch{$("answer").textContent=x}};
$("run").onclick=run;$("schema").onclick=async()=>{$("answer").textContent=await get("/graphql")};
$("query").onkeydown=e=>{if(e.key=="Enter"&&(e.ctrlKey||e.metaKey)){e.preventDefault();run()}};$("schema").onclick();
</script>)html";

} // namespace graphql

/// Answers /graphql (GET: the schema, or ?query=; POST: application/graphql or application/json) and /graphiql, a page
/// to try queries on. Nothing for other paths and for preflights.
template <class Query>
std::optional<HttpReply> serveGraphql(const Query& query, const HttpRequest& request,
                                      graphql::ErrorForm form = graphql::ErrorForm::object) {
   const auto path = pathOf(request);
   if (request.method == "OPTIONS" || (path != "/graphql" && path != "/graphiql"))
      return std::nullopt;
   const bool reads = request.method == "GET" || request.method == "HEAD";
   if (path == "/graphiql")
      return reads ? httpReply(200, "text/html", graphql::page) : methodNotAllowed("GET");
   const graphql::TypeInfo& root = graphql::typeInfo<Query>();
   graphql::Request asked;
   if (reads) {
      const auto text = queryParameter(request, "query");
      if (!text)
         return httpReply(200, "text", graphql::Describer().text(root), allowCors());
      asked.query = *text;
      asked.operation = queryParameter(request, "operationName").value_or("");
      asked.variables = queryParameter(request, "variables").value_or("");
   } else if (request.method != "POST") {
      return methodNotAllowed("GET, POST");
   } else if (equalIgnoringCase(mediaTypeOf(request), "application/graphql")) {
      asked.query = asText(request.body);
   } else if (equalIgnoringCase(mediaTypeOf(request), "application/json")) {
      auto parsed = graphql::parseRequest(asText(request.body));
      if (!parsed)
         return jsonTextReply(graphql::errorText({}, parsed.error(), form));
      asked = std::move(*parsed);
   } else {
      return textReply(415, "send application/graphql or application/json");
   }
   return jsonTextReply(graphql::answer(root, &query, asked, form));
}

} // namespace polis::sdk

// field(function, parameters…) as a description
#define POLIS_FIELD_INFO(type, item) POLIS_FIELD_INFO_##item
#define POLIS_FIELD_INFO_field(name, ...)                                                                              \
   , ::polis::sdk::graphql::describeFunction<&PolisType::name>(#name __VA_OPT__(POLIS_NAMES_EACH(__VA_ARGS__)))

/// Declares the functions of a struct that are GraphQL fields: POLIS_GRAPHQL(Query, field(name, parameter, …), …).
/// In the struct's namespace, after it.
#define POLIS_GRAPHQL(type, ...)                                                                                       \
   template <class PolisType>                                                                                          \
   struct PolisFieldsOf##type {                                                                                        \
      static constexpr auto list = ::polis::sdk::detail::tail(0 POLIS_EACH(POLIS_FIELD_INFO, type, __VA_ARGS__));      \
   };                                                                                                                  \
   constexpr const auto& polisGraphqlFields(const type*) { return PolisFieldsOf##type<type>::list; }
