#pragma once
// Tables: rows of plain structs under one primary key and any number of secondary indexes.
//
//    struct Balance { AccountNumber account; std::uint32_t token; std::uint64_t amount; };
//    using Balances = Table<2, Balance, key<&Balance::account, &Balance::token>, Index<&Balance::token,
//    &Balance::account>>;
//
//    auto balances = open<Balances>();
//    if (auto row = balances.get(account, token)) …
//    balances.put(row);
//    for (const Balance& row : balances.index<1>().range(token)) …
//
// Layout: key = account (u64 BE), table (u16 BE), index (u8), key bytes; an index entry's value is the primary key.
// The members of an index must identify the row: end with the primary key where they do not.

#include <polis/kv.hpp>

#include <algorithm>
#include <functional>
#include <iterator>
#include <tuple>

namespace polis::sdk {

/// Key made of these data members (or const member functions) of a row, in order. None: a table of one row.
template <auto... members>
struct Key {
   template <class Row>
   static void append(Bytes& out, const Row& row) {
      (appendKey(out, std::invoke(members, row)), ...);
   }
   static constexpr std::size_t size = sizeof...(members);
};

template <auto... members>
inline constexpr Key<members...> key{};

/// Secondary index over these members.
template <auto... members>
struct Index : Key<members...> {
   using AsKey = Key<members...>;
};

namespace detail {

template <auto member>
struct AsKey {
   using type = Key<member>;
};
template <auto... members, Key<members...> value>
struct AsKey<value> {
   using type = Key<members...>;
};

} // namespace detail

/// A table: database, number, row type, primary key (a member pointer or `key<…>`) and indexes.
template <Db database, std::uint16_t tableNumber, class RowType, auto primary, class... SecondaryIndexes>
struct BasicTable {
   using Row = RowType;
   using Primary = typename detail::AsKey<primary>::type;
   using Secondary = std::tuple<SecondaryIndexes...>;
   static constexpr Db db = database;
   static constexpr std::uint16_t number = tableNumber;
   static constexpr std::size_t secondaryCount = sizeof...(SecondaryIndexes);
};

template <std::uint16_t number, class Row, auto primary, class... Indexes>
using Table = BasicTable<Db::service, number, Row, primary, Indexes...>;
template <std::uint16_t number, class Row>
using Singleton = BasicTable<Db::service, number, Row, key<>>;
template <std::uint16_t number, class Row, auto primary, class... Indexes>
using WriteOnlyTable = BasicTable<Db::writeOnly, number, Row, primary, Indexes...>;
template <std::uint16_t number, class Row, auto primary, class... Indexes>
using SubjectiveTable = BasicTable<Db::subjective, number, Row, primary, Indexes...>;
template <std::uint16_t number, class Row, auto primary, class... Indexes>
using SessionTable = BasicTable<Db::session, number, Row, primary, Indexes...>;
template <std::uint16_t number, class Row, auto primary, class... Indexes>
using TemporaryTable = BasicTable<Db::temporary, number, Row, primary, Indexes...>;

namespace detail {

inline void startKey(Bytes& out, std::uint16_t table, std::uint8_t index) {
   out.reserve(64);
   out.push_back(static_cast<std::uint8_t>(table >> 8));
   out.push_back(static_cast<std::uint8_t>(table));
   out.push_back(index);
}

inline constexpr std::size_t tablePrefixSize = 3;

template <class... K>
Bytes makeKey(std::uint16_t table, std::uint8_t index, const K&... parts) {
   Bytes out;
   startKey(out, table, index);
   (appendKey(out, parts), ...);
   return out;
}

} // namespace detail

template <class T>
class TableRef;

/// Rows in the order of one index. `n` = 0 is the primary key.
template <class T, std::size_t n>
class IndexRef {
public:
   using Row = typename T::Row;

   explicit IndexRef(KvSpace space) : space_(space) {}

   /// A row and where it stands, so that a reader can go on from there later.
   struct Item {
      Bytes position; ///< index key without the table prefix
      Row row;
   };

   class Iterator {
   public:
      using value_type = Row;
      using difference_type = std::ptrdiff_t;
      using iterator_category = std::input_iterator_tag;

      Iterator() = default;
      const Row& operator*() const { return *row_; }
      const Row* operator->() const { return &*row_; }
      Iterator& operator++() {
         if (forward_) {
            key_.push_back(0);
            load(space_.greaterEqual(key_, match_));
         } else
            load(space_.lessThan(key_, match_));
         return *this;
      }
      void operator++(int) { ++*this; }
      friend bool operator==(const Iterator& it, std::default_sentinel_t) { return !it.row_; }
      /// Index key of the row without the table prefix.
      ByteView position() const { return ByteView(key_).subspan(detail::tablePrefixSize); }

   private:
      friend class IndexRef;
      Iterator(KvSpace space, std::size_t match, bool forward) : space_(space), match_(match), forward_(forward) {}

      void load(std::uint32_t size) {
         if (size == env::none) {
            row_.reset();
            return;
         }
         detail::ResultBuffer<512> value(size);
         key_ = detail::takeKey();
         row_ = fetch(space_, value.view());
      }

      KvSpace space_;
      std::size_t match_ = 0;
      bool forward_ = true;
      Bytes key_;
      std::optional<Row> row_;
   };

   /// Rows whose key starts with some parts, ascending or descending.
   class Range {
   public:
      Iterator begin() const {
         Iterator it(space_, prefix_.size(), forward_);
         // The database looks among the keys that share the start's prefix; a start outside of this range is its end
         // or its beginning.
         const bool inside =
             start_.size() >= prefix_.size() && std::equal(prefix_.begin(), prefix_.end(), start_.begin());
         const bool whole = start_.empty() || (!inside && (start_ < prefix_) == forward_);
         if (!whole && !inside)
            return it;
         if (forward_) {
            it.key_ = whole ? prefix_ : start_;
            it.load(space_.greaterEqual(it.key_, prefix_.size()));
         } else if (whole)
            it.load(space_.max(prefix_));
         else
            it.load(space_.lessThan(start_, prefix_.size()));
         return it;
      }
      std::default_sentinel_t end() const { return {}; }

      Range reverse() const {
         auto range = *this;
         range.forward_ = !forward_;
         return range;
      }
      /// Starts at the first row whose index key is not less than `position` (ascending) or the last that is less
      /// (descending). position: as Iterator::position().
      Range startAt(ByteView position) const {
         auto range = *this;
         range.start_.assign(prefix_.begin(), prefix_.begin() + detail::tablePrefixSize);
         range.start_.insert(range.start_.end(), position.begin(), position.end());
         return range;
      }
      /// The same, with the position given as key parts.
      template <class... K>
      Range from(const K&... parts) const {
         const auto full = detail::makeKey(T::number, static_cast<std::uint8_t>(n), parts...);
         return startAt(ByteView(full).subspan(detail::tablePrefixSize));
      }

   private:
      friend class IndexRef;
      Range(KvSpace space, Bytes prefix) : space_(space), prefix_(std::move(prefix)) {}
      KvSpace space_;
      Bytes prefix_;
      Bytes start_;
      bool forward_ = true;
   };

   /// All rows whose index key starts with these parts; without parts, all rows.
   template <class... K>
   Range range(const K&... parts) const {
      return Range(space_, detail::makeKey(T::number, static_cast<std::uint8_t>(n), parts...));
   }
   Iterator begin() const { return range().begin(); }
   std::default_sentinel_t end() const { return {}; }

   /// The row with exactly this index key.
   template <class... K>
   std::optional<Row> get(const K&... parts) const {
      const auto full = detail::makeKey(T::number, static_cast<std::uint8_t>(n), parts...);
      const auto size = space_.find(full);
      if (size == env::none)
         return std::nullopt;
      detail::ResultBuffer<512> value(size);
      return fetch(space_, value.view());
   }
   template <class... K>
   std::optional<Row> first(const K&... parts) const {
      const auto prefix = detail::makeKey(T::number, static_cast<std::uint8_t>(n), parts...);
      return one(space_.greaterEqual(prefix, prefix.size()));
   }
   template <class... K>
   std::optional<Row> last(const K&... parts) const {
      const auto prefix = detail::makeKey(T::number, static_cast<std::uint8_t>(n), parts...);
      return one(space_.max(prefix));
   }

private:
   std::optional<Row> one(std::uint32_t size) const {
      if (size == env::none)
         return std::nullopt;
      detail::ResultBuffer<512> value(size);
      return fetch(space_, value.view());
   }
   static std::optional<Row> fetch(const KvSpace& space, ByteView value) {
      if constexpr (n == 0)
         return unpackOrAbort<Row>(value, "malformed row");
      else {
         Bytes full;
         detail::startKey(full, T::number, 0);
         full.insert(full.end(), value.begin(), value.end());
         const auto size = space.find(full);
         check(size != env::none, "index without row");
         detail::ResultBuffer<512> row(size);
         return unpackOrAbort<Row>(row.view(), "malformed row");
      }
   }

   KvSpace space_;
};

/// An opened table.
template <class T>
class TableRef {
public:
   using Row = typename T::Row;

   explicit TableRef(KvSpace space) : space_(space) {}

   /// Rows in the order of index `n`; 0 = primary key.
   template <std::size_t n>
   IndexRef<T, n> index() const {
      static_assert(n <= T::secondaryCount);
      return IndexRef<T, n>(space_);
   }
   auto begin() const { return index<0>().begin(); }
   std::default_sentinel_t end() const { return {}; }

   template <class... K>
   std::optional<Row> get(const K&... parts) const {
      return index<0>().get(parts...);
   }
   /// Packed size of the row; nothing when absent.
   template <class... K>
   bool contains(const K&... parts) const {
      return space_.find(detail::makeKey(T::number, 0, parts...)) != env::none;
   }
   template <class... K>
   auto range(const K&... parts) const {
      return index<0>().range(parts...);
   }
   template <class... K>
   std::optional<Row> first(const K&... parts) const {
      return index<0>().first(parts...);
   }
   template <class... K>
   std::optional<Row> last(const K&... parts) const {
      return index<0>().last(parts...);
   }

   /// Inserts or replaces the row with this primary key. Aborts when an index key belongs to another row.
   void put(const Row& row) const {
      const auto primaryKey = keyOf<typename T::Primary>(0, row);
      if constexpr (T::secondaryCount > 0) {
         std::optional<Row> old;
         if (const auto size = space_.find(primaryKey); size != env::none) {
            detail::ResultBuffer<512> value(size);
            old = unpackOrAbort<Row>(value.view(), "malformed row");
         }
         forEachIndex([&]<class I>(std::uint8_t number) {
            const auto entry = keyOf<I>(number, row);
            if (old) {
               const auto oldEntry = keyOf<I>(number, *old);
               if (oldEntry == entry)
                  return;
               space_.remove(oldEntry);
            }
            check(space_.find(entry) == env::none, "duplicate key in an index");
            space_.put(entry, ByteView(primaryKey).subspan(detail::tablePrefixSize));
         });
      }
      space_.put(primaryKey, pack(row));
   }

   /// Inserts a row whose keys are all new, without a look at what is there: where a table cannot be read.
   void append(const Row& row) const {
      const auto primaryKey = keyOf<typename T::Primary>(0, row);
      forEachIndex([&]<class I>(std::uint8_t number) {
         space_.put(keyOf<I>(number, row), ByteView(primaryKey).subspan(detail::tablePrefixSize));
      });
      space_.put(primaryKey, pack(row));
   }

   /// Removes the row with this row's primary key, if there is one.
   void remove(const Row& row) const { removeAt(keyOf<typename T::Primary>(0, row)); }

   /// Removes the row with this primary key, if there is one.
   template <class... K>
   void erase(const K&... parts) const {
      removeAt(detail::makeKey(T::number, 0, parts...));
   }

private:
   template <class KeyType>
   static Bytes keyOf(std::uint8_t index, const Row& row) {
      Bytes out;
      detail::startKey(out, T::number, index);
      KeyType::append(out, row);
      return out;
   }

   template <class F>
   static void forEachIndex(F&& f) {
      [&]<std::size_t... i>(std::index_sequence<i...>) {
         (f.template operator()<std::tuple_element_t<i, typename T::Secondary>>(static_cast<std::uint8_t>(i + 1)), ...);
      }(std::make_index_sequence<T::secondaryCount>{});
   }

   void removeAt(const Bytes& primaryKey) const {
      if constexpr (T::secondaryCount > 0) {
         const auto size = space_.find(primaryKey);
         if (size == env::none)
            return;
         detail::ResultBuffer<512> value(size);
         const auto old = unpackOrAbort<Row>(value.view(), "malformed row");
         forEachIndex([&]<class I>(std::uint8_t number) { space_.remove(keyOf<I>(number, old)); });
      }
      space_.remove(primaryKey);
   }

   KvSpace space_;
};

/// Opens a table of the running service. `Mode::readWrite` spares a second opening in actions that will write.
template <class T>
TableRef<T> open(Mode first = Mode::read) {
   return TableRef<T>(KvSpace{T::db, getReceiver().value, first});
}

/// Opens a table of another account: a subaccount reads its base account's, privileged services any.
template <class T>
TableRef<T> openOf(AccountNumber owner, Mode first = Mode::read) {
   return TableRef<T>(KvSpace{T::db, owner.value, first});
}

/// The account without its subaccount.
constexpr AccountNumber baseAccount(AccountNumber account) {
   AccountNumber base = account;
   base.value &= ~std::uint64_t{0xFF};
   return base;
}

} // namespace polis::sdk
