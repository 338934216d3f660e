#include "may_install.hpp"

namespace polis::services {

namespace {

bool samePath(const FieldId& a, const FieldId& b) { return a.path == b.path && a.transform == b.transform; }

void checkEvents(const Schema& oldTypes, const auto& before, const Schema& newTypes, const auto& after) {
   for (const auto& [name, event] : before) {
      const auto found = after.find(name);
      if (found == after.end())
         abortMessage("an event has been removed: " + name);
      const auto difference = compareTypes(oldTypes, event.type, newTypes, found->second.type);
      if (difference & ~static_cast<std::uint32_t>(upgrade))
         abortMessage("an event has changed incompatibly: " + name);
   }
}

void checkUpgrade(const ServiceSchema& before, const ServiceSchema& after) {
   checkEvents(before.types, before.history, after.types, after.history);
   checkEvents(before.types, before.merkle, after.types, after.merkle);
   if (!before.database)
      return;
   for (const auto& [db, tables] : *before.database) {
      for (const auto& table : tables) {
         const TableInfo* next = nullptr;
         if (after.database)
            if (const auto found = after.database->find(db); found != after.database->end())
               for (const auto& candidate : found->second)
                  if (candidate.table == table.table)
                     next = &candidate;
         const auto name = table.name ? *table.name : std::to_string(table.table);
         if (!next)
            abortMessage("a table has been removed: " + name);
         if (compareTypes(before.types, table.type, after.types, next->type) & ~static_cast<std::uint32_t>(upgrade))
            abortMessage("the rows of a table have changed incompatibly: " + name);
         if (table.indexes.size() != next->indexes.size())
            abortMessage("the indexes of a table have changed: " + name);
         for (std::size_t i = 0; i < table.indexes.size(); ++i)
            if (!std::equal(table.indexes[i].begin(), table.indexes[i].end(), next->indexes[i].begin(),
                            next->indexes[i].end(), samePath))
               abortMessage("the indexes of a table have changed: " + name);
      }
   }
}

} // namespace

void Packages::postinstall(PackageMeta package, Bytes manifest) {
   const auto sender = getSender();
   for (const auto user : package.accounts) {
      const auto row = to<Accounts>().getAccount(user);
      if (!row)
         abortMessage("account does not exist: " + user.str());
      if (const auto why = whyNotInstall(*row, sender, package.accounts))
         abortMessage(*why);
   }
   open<PackageManifestTable>(Mode::readWrite).put({package.name, sender, std::move(manifest)});
   open<InstalledPackageTable>(Mode::readWrite)
       .put({std::move(package.name), std::move(package.version), std::move(package.description),
             std::move(package.depends), std::move(package.accounts), std::move(package.services),
             std::move(package.exports), sender});
}

void Packages::setSchema(ServiceSchema schema) {
   auto table = open<InstalledSchemaTable>(Mode::readWrite);
   const auto sender = getSender();
   if (const auto old = table.get(sender))
      checkUpgrade(old->schema, schema);
   table.put({sender, std::move(schema)});
}

void Packages::publish(PackageMeta package, Checksum256 sha256, std::string file) {
   auto table = open<PublishedPackageTable>(Mode::readWrite);
   const auto old = table.get(getSender(), package.name, package.version);
   check(!old || old->sha256 == sha256, "this version has been published with other content");
   table.put({getSender(), std::move(package.name), std::move(package.version), std::move(package.scope),
              std::move(package.description), std::move(package.depends), std::move(package.accounts),
              std::move(package.services), std::move(package.exports), sha256, std::move(file)});
}

void Packages::setSources(std::vector<PackageSource> sources) {
   open<PackageSourcesTable>(Mode::readWrite).put({getSender(), std::move(sources)});
}

std::optional<ServiceSchema> Packages::getSchema(AccountNumber service) {
   auto row = open<InstalledSchemaTable>().get(service);
   return row ? std::optional(std::move(row->schema)) : std::nullopt;
}

void Packages::checkOrder(std::uint64_t id, std::uint32_t index) {
   auto table = open<TransactionOrderTable>(Mode::readWrite);
   auto row = table.get(getSender(), id).value_or(TransactionOrder{getSender(), id, 0});
   check(row.index == index, "transactions of an installation run in their order");
   ++row.index;
   table.put(row);
}

void Packages::removeOrder(std::uint64_t id) { open<TransactionOrderTable>(Mode::readWrite).erase(getSender(), id); }

} // namespace polis::services

POLIS_DISPATCH(polis::services::Packages)
