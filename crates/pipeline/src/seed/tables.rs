//! Definitions of the system tables.

mod jobs;
mod security;
mod steps;

use super::{activities, user_settings};
use crate::define::columns::{
    boolean, choice, column, computed, date_only, date_time, decimal, derived_id, double, integer,
    lookup, memo, money, push, read_only, text,
};
use crate::define::files;
use crate::define::many_to_many::{self, Intersect};
use crate::define::system;
use model::{
    Column, ColumnIndex, ColumnKind, Computed, DeleteAction, Label, LookupKind, ManyToMany,
    ManyToManyEnd, OneToMany, Ownership, RequiredLevel, TableDefinition, TableId, TableKind,
};

/// Every system table, numbered from 1 in this order. New ones go to the end.
pub(super) fn all() -> Vec<TableDefinition> {
    let tables = vec![
        organization(),
        business_unit(),
        system_user(),
        team(),
        role(),
        transaction_currency(),
        publisher(),
        solution(),
        sdk_message(),
        sdk_message_filter(),
        account(),
        contact(),
        lead(),
        jobs::async_operation(),
        jobs::bulk_delete_operation(),
        jobs::bulk_delete_failure(),
        privilege(),
        role_privileges(),
        system_user_roles(),
        team_roles(),
        team_membership(),
        security::principal_object_access(),
        solution_component(),
        user_settings::table(),
    ];
    (1..)
        .zip(tables.into_iter().chain(activities::tables()).chain(steps::tables()))
        .map(|(number, mut table)| {
            table.id = TableId(number);
            if activities::REGARDED.iter().any(|(name, _)| *name == &*table.logical_name) {
                table.has_notes = true;
                table.has_activities = true;
            }
            if !table.is_intersect {
                system::add_columns(&mut table);
            }
            table
        })
        .collect()
}

/// A relationship of the seed: schema name, referenced and referencing table, lookup column, navigation
/// property, what a delete does.
type Seeded = (&'static str, &'static str, &'static str, &'static str, &'static str, DeleteAction);

/// Relationships that are not those of the system columns.
const RELATIONSHIPS: &[Seeded] = &[
    (
        "account_primary_contact",
        "contact",
        "account",
        "primarycontactid",
        "primarycontactid",
        DeleteAction::RemoveLink,
    ),
    (
        "account_parent_account",
        "account",
        "account",
        "parentaccountid",
        "parentaccountid",
        DeleteAction::RemoveLink,
    ),
    (
        "contact_customer_accounts",
        "account",
        "contact",
        "parentcustomerid",
        "parentcustomerid_account",
        DeleteAction::Cascade,
    ),
    (
        "contact_customer_contacts",
        "contact",
        "contact",
        "parentcustomerid",
        "parentcustomerid_contact",
        DeleteAction::Cascade,
    ),
    (
        "lead_parent_account",
        "account",
        "lead",
        "parentaccountid",
        "parentaccountid",
        DeleteAction::RemoveLink,
    ),
    (
        "lead_parent_contact",
        "contact",
        "lead",
        "parentcontactid",
        "parentcontactid",
        DeleteAction::RemoveLink,
    ),
    (
        "business_unit_system_users",
        "businessunit",
        "systemuser",
        "businessunitid",
        "businessunitid",
        DeleteAction::NoCascade,
    ),
    (
        "business_unit_teams",
        "businessunit",
        "team",
        "businessunitid",
        "businessunitid",
        DeleteAction::NoCascade,
    ),
    (
        "business_unit_roles",
        "businessunit",
        "role",
        "businessunitid",
        "businessunitid",
        DeleteAction::NoCascade,
    ),
    (
        "business_unit_parent_business_unit",
        "businessunit",
        "businessunit",
        "parentbusinessunitid",
        "parentbusinessunitid",
        DeleteAction::Restrict,
    ),
    (
        "user_parent_user",
        "systemuser",
        "systemuser",
        "parentsystemuserid",
        "parentsystemuserid",
        DeleteAction::NoCascade,
    ),
    (
        "lk_teambase_administratorid",
        "systemuser",
        "team",
        "administratorid",
        "administratorid",
        DeleteAction::NoCascade,
    ),
    ("role_parent_role", "role", "role", "parentroleid", "parentroleid", DeleteAction::NoCascade),
    (
        "role_parent_root_role",
        "role",
        "role",
        "parentrootroleid",
        "parentrootroleid",
        DeleteAction::NoCascade,
    ),
    (
        "basecurrency_organization",
        "transactioncurrency",
        "organization",
        "basecurrencyid",
        "basecurrencyid",
        DeleteAction::NoCascade,
    ),
    (
        "publisher_solution",
        "publisher",
        "solution",
        "publisherid",
        "publisherid",
        DeleteAction::Restrict,
    ),
    (
        "solution_solutioncomponent",
        "solution",
        "solutioncomponent",
        "solutionid",
        "solutionid",
        DeleteAction::Cascade,
    ),
    (
        "sdkmessageid_sdkmessagefilter",
        "sdkmessage",
        "sdkmessagefilter",
        "sdkmessageid",
        "sdkmessageid",
        DeleteAction::Cascade,
    ),
    (
        "AsyncOperation_BulkDeleteOperation",
        "asyncoperation",
        "bulkdeleteoperation",
        "asyncoperationid",
        "asyncoperationid",
        DeleteAction::Cascade,
    ),
    (
        "BulkDeleteOperation_BulkDeleteFailure",
        "bulkdeleteoperation",
        "bulkdeletefailure",
        "bulkdeleteoperationid",
        "bulkdeleteoperationid",
        DeleteAction::Cascade,
    ),
];

/// Relationships that hierarchy operators follow.
const HIERARCHIES: [&str; 2] = ["account_parent_account", "user_parent_user"];

/// Relationships that are not those of the system columns.
pub(super) fn relationships() -> impl Iterator<Item = OneToMany> {
    let own = RELATIONSHIPS.iter().chain(steps::RELATIONSHIPS).map(
        |(name, referenced, referencing, lookup, navigation, delete)| OneToMany {
            is_hierarchical: HIERARCHIES.contains(name),
            ..system::one_to_many(
                (*name).to_owned(),
                referenced,
                referencing,
                lookup,
                navigation,
                *delete,
            )
        },
    );
    own.chain(activities::relationships())
}

/// A many-to-many relationship of the seed: name, intersect table, and the two sides with their columns.
type SeededPairs = (&'static str, &'static str, [(&'static str, &'static str); 2]);

const MANY_TO_MANY: &[SeededPairs] = &[
    (
        "roleprivileges_association",
        "roleprivileges",
        [("role", "roleid"), ("privilege", "privilegeid")],
    ),
    (
        "systemuserroles_association",
        "systemuserroles",
        [("systemuser", "systemuserid"), ("role", "roleid")],
    ),
    ("teamroles_association", "teamroles", [("team", "teamid"), ("role", "roleid")]),
    (
        "teammembership_association",
        "teammembership",
        [("team", "teamid"), ("systemuser", "systemuserid")],
    ),
];

/// The system's many-to-many relationships.
pub(super) fn many_to_many() -> impl Iterator<Item = ManyToMany> {
    MANY_TO_MANY.iter().map(|(name, intersect, ends)| ManyToMany {
        metadata_id: derived_id(&format!("relationship {name}")),
        schema_name: (*name).into(),
        intersect_table: (*intersect).into(),
        ends: ends.map(|(table, column)| ManyToManyEnd {
            table: table.into(),
            navigation: (*name).into(),
            column: column.into(),
            menu: model::Menu::default(),
        }),
        is_custom: false,
        settings: model::RelationshipSettings::default(),
    })
}

/// A table with its primary key; columns are appended in the order in which they are listed.
pub(super) struct Builder {
    pub(super) table: TableDefinition,
}

impl Builder {
    pub(super) fn new(
        schema_name: &str,
        set: &str,
        object_type_code: i32,
        ownership: Ownership,
        display: &str,
    ) -> Self {
        let logical_name = schema_name.to_lowercase();
        let mut key = read_only(&format!("{schema_name}Id"), display, ColumnKind::Guid);
        key.valid_for_create = true;
        key.required = RequiredLevel::SystemRequired;
        let mut columns = Vec::new();
        let primary_key = push(&mut columns, &logical_name, key);
        Self {
            table: TableDefinition {
                id: TableId(0),
                metadata_id: derived_id(&format!("table {logical_name}")),
                schema_name: schema_name.into(),
                entity_set_name: set.into(),
                collection_schema_name: format!("{schema_name}s").into(),
                display_name: Label::english(display),
                display_collection_name: Label::english(format!("{display}s")),
                description: Label::default(),
                object_type_code,
                ownership,
                kind: TableKind::Standard,
                is_custom: false,
                is_intersect: false,
                is_activity: false,
                has_notes: false,
                has_activities: false,
                change_tracking: true,
                optimistic_concurrency: true,
                settings: model::TableSettings::default(),
                columns,
                primary_key,
                primary_name: None,
                keys: Vec::new(),
                logical_name: logical_name.into(),
            },
        }
    }

    /// Calls the primary key otherwise.
    pub(super) fn keyed(mut self, schema_name: &str) -> Self {
        let key = &mut self.table.columns[usize::from(self.table.primary_key.0)];
        key.schema_name = schema_name.into();
        key.logical_name = schema_name.to_lowercase().into();
        self
    }

    pub(super) fn add(&mut self, column: Column) -> ColumnIndex {
        push(&mut self.table.columns, &self.table.logical_name, column)
    }

    /// The column that names a record.
    pub(super) fn name(mut self, schema_name: &str, display: &str, max_length: u32) -> Self {
        let index = self.add(column(schema_name, display, text(max_length)));
        self.table.primary_name = Some(index);
        self
    }

    pub(super) fn with(mut self, schema_name: &str, display: &str, kind: ColumnKind) -> Self {
        self.add(column(schema_name, display, kind));
        self
    }

    pub(super) fn with_read_only(
        mut self,
        schema_name: &str,
        display: &str,
        kind: ColumnKind,
    ) -> Self {
        self.add(read_only(schema_name, display, kind));
        self
    }

    /// A lookup that a relationship with cascades follows, so that it is indexed.
    pub(super) fn with_lookup(
        mut self,
        schema_name: &str,
        display: &str,
        targets: &[(&str, &str)],
    ) -> Self {
        let mut lookup = column(schema_name, display, lookup(LookupKind::Plain, targets));
        lookup.is_indexed = true;
        self.add(lookup);
        self
    }

    /// A money column with its read-only twin in the base currency.
    fn with_money(mut self, schema_name: &str, display: &str) -> Self {
        let value = self.add(column(schema_name, display, money()));
        let twin = format!("{schema_name}_Base");
        self.add(computed(
            &twin,
            &format!("{display} (Base)"),
            money(),
            Computed::CopyOf { column: value },
        ));
        self
    }

    /// The record's currency and its rate.
    fn with_currency(self) -> Self {
        let targets = [("transactioncurrency", "transactioncurrencyid")];
        self.with("TransactionCurrencyId", "Currency", lookup(LookupKind::Plain, &targets))
            .with_read_only("ExchangeRate", "Exchange Rate", decimal(10))
    }

    /// First and last name and the computed full name, which names the record.
    fn full_name(mut self, length: u32) -> Self {
        let first = self.add(column("FirstName", "First Name", text(length)));
        let last = self.add(column("LastName", "Last Name", text(length)));
        let full = computed(
            "FullName",
            "Full Name",
            text(length * 2 + 60),
            Computed::FullName { first, last },
        );
        let index = self.add(full);
        self.table.primary_name = Some(index);
        self
    }

    /// The primary image, with what stands beside it.
    fn with_image(mut self) -> Self {
        let kind =
            ColumnKind::Image { max_size_kb: 10_240, can_store_full_image: true, is_primary: true };
        let image = column("EntityImage", "Entity Image", kind);
        self.add(image.clone());
        files::companions(&mut self.table, &image);
        self
    }

    /// The first postal address.
    fn address(self) -> Self {
        self.with("Address1_Line1", "Address 1: Street 1", text(250))
            .with("Address1_Line2", "Address 1: Street 2", text(250))
            .with("Address1_Line3", "Address 1: Street 3", text(250))
            .with("Address1_City", "Address 1: City", text(80))
            .with("Address1_StateOrProvince", "Address 1: State/Province", text(50))
            .with("Address1_PostalCode", "Address 1: ZIP/Postal Code", text(20))
            .with("Address1_Country", "Address 1: Country/Region", text(80))
            .with("Address1_Latitude", "Address 1: Latitude", double())
            .with("Address1_Longitude", "Address 1: Longitude", double())
    }

    pub(super) fn done(self) -> TableDefinition {
        self.table
    }
}

fn organization() -> TableDefinition {
    let traces = [(0, "Off"), (1, "Exception"), (2, "All")];
    let currency = [("transactioncurrency", "basecurrencyid")];
    Builder::new("Organization", "organizations", 1019, Ownership::None, "Organization")
        .name("Name", "Organization Name", 160)
        .with("BaseCurrencyId", "Currency", lookup(LookupKind::Plain, &currency))
        .with("LanguageCode", "Language", integer())
        .with("LocaleId", "Locale", integer())
        .with("FiscalCalendarStart", "Fiscal Calendar Start", date_time())
        .with("FiscalPeriodType", "Fiscal Period Type", integer())
        .with("FiscalPeriodFormat", "Fiscal Period Format", text(25))
        .with("PricingDecimalPrecision", "Pricing Decimal Precision", integer())
        .with("CurrencySymbol", "Currency Symbol", text(13))
        .with("DateFormatString", "Date Format String", text(255))
        .with("TimeFormatString", "Time Format String", text(255))
        .with("MaxUploadFileSize", "Max Upload File Size", integer())
        .with("BlockedAttachments", "Block Attachments", memo(1_048_576))
        .with("IsAuditEnabled", "Is Auditing Enabled", boolean(false))
        .with("PluginTraceLogSetting", "Plug-in Trace Log Setting", choice(&traces))
        .done()
}

fn business_unit() -> TableDefinition {
    Builder::new("BusinessUnit", "businessunits", 10, Ownership::Business, "Business Unit")
        .name("Name", "Name", 160)
        .with(
            "ParentBusinessUnitId",
            "Parent Business",
            lookup(LookupKind::Plain, &[("businessunit", "parentbusinessunitid")]),
        )
        .with("IsDisabled", "Is Disabled", boolean(false))
        .with("DivisionName", "Division", text(100))
        .with("Description", "Description", memo(2_000))
        .with_read_only("OrganizationId", "Organization", ColumnKind::Guid)
        .with("CostCenter", "Cost Center", text(100))
        .with("WebSiteUrl", "Website", text(200))
        .with("EMailAddress", "Email", text(100))
        .done()
}

fn system_user() -> TableDefinition {
    let access = [
        (0, "Read-Write"),
        (1, "Administrative"),
        (2, "Read"),
        (3, "Support User"),
        (4, "Non-interactive"),
        (5, "Delegated Admin"),
    ];
    let mut builder =
        Builder::new("SystemUser", "systemusers", 8, Ownership::Business, "User").full_name(256);
    let key = builder.table.primary_key;
    builder.add(computed("OwnerId", "Owner", ColumnKind::Guid, Computed::CopyOf { column: key }));
    builder
        .with("DomainName", "User Name", text(1_024))
        .with("InternalEMailAddress", "Primary Email", text(100))
        .with("AzureActiveDirectoryObjectId", "Azure AD Object ID", ColumnKind::Guid)
        .with("ApplicationId", "Application ID", ColumnKind::Guid)
        .with("IsDisabled", "Status", boolean(false))
        .with("AccessMode", "Access Mode", choice(&access))
        .with(
            "BusinessUnitId",
            "Business Unit",
            lookup(LookupKind::Plain, &[("businessunit", "businessunitid")]),
        )
        .with(
            "ParentSystemUserId",
            "Manager",
            lookup(LookupKind::Plain, &[("systemuser", "parentsystemuserid")]),
        )
        .with("UserLicenseType", "User License Type", integer())
        .with("Title", "Title", text(128))
        .with("MobilePhone", "Mobile Phone", text(64))
        .with_read_only("OrganizationId", "Organization", ColumnKind::Guid)
        .with("IsIntegrationUser", "Integration user mode", boolean(false))
        .with("SetupUser", "Restricted Access Mode", boolean(false))
        .with("IsLicensed", "User Licensed", boolean(false))
        .done()
}

fn team() -> TableDefinition {
    let kinds = [(0, "Owner"), (1, "Access"), (2, "AAD Security Group"), (3, "AAD Office Group")];
    let membership = [(0, "Members and guests"), (1, "Members"), (2, "Owners"), (3, "Guests")];
    let mut builder = Builder::new("Team", "teams", 9, Ownership::Business, "Team").name(
        "Name",
        "Team Name",
        160,
    );
    let key = builder.table.primary_key;
    builder.add(computed("OwnerId", "Owner", ColumnKind::Guid, Computed::CopyOf { column: key }));
    builder
        .with("Description", "Description", memo(2_000))
        .with("TeamType", "Team Type", choice(&kinds))
        .with_read_only("IsDefault", "Is Default", boolean(false))
        .with_read_only("SystemManaged", "Is System Managed", boolean(false))
        .with(
            "BusinessUnitId",
            "Business Unit",
            lookup(LookupKind::Plain, &[("businessunit", "businessunitid")]),
        )
        .with(
            "AdministratorId",
            "Administrator",
            lookup(LookupKind::Plain, &[("systemuser", "administratorid")]),
        )
        .with("AzureActiveDirectoryObjectId", "Azure AD Object Id for a group", ColumnKind::Guid)
        .with("MembershipType", "Membership Type", choice(&membership))
        .with("EMailAddress", "Email", text(100))
        .with_currency()
        .done()
}

fn role() -> TableDefinition {
    Builder::new("Role", "roles", 1036, Ownership::Business, "Security Role")
        .name("Name", "Name", 100)
        .with(
            "BusinessUnitId",
            "Business Unit",
            lookup(LookupKind::Plain, &[("businessunit", "businessunitid")]),
        )
        .with("ParentRoleId", "Parent Role", lookup(LookupKind::Plain, &[("role", "parentroleid")]))
        .with(
            "ParentRootRoleId",
            "Parent Root Role",
            lookup(LookupKind::Plain, &[("role", "parentrootroleid")]),
        )
        .with("RoleTemplateId", "Role Template ID", ColumnKind::Guid)
        .with(
            "IsInherited",
            "Member's privilege inheritance",
            choice(&[
                (0, "Team privileges only"),
                (1, "Direct User (Basic) access level and Team privileges"),
            ]),
        )
        .with("IsManaged", "State", boolean(false))
        .with("Description", "Description", memo(2_000))
        .done()
}

fn transaction_currency() -> TableDefinition {
    let mut table = Builder::new(
        "TransactionCurrency",
        "transactioncurrencies",
        9105,
        Ownership::Organization,
        "Currency",
    )
    .name("CurrencyName", "Currency Name", 100)
    .with("ISOCurrencyCode", "Currency Code", text(5))
    .with("CurrencySymbol", "Currency Symbol", text(13))
    .with("ExchangeRate", "Exchange Rate", decimal(10))
    .with("CurrencyPrecision", "Currency Precision", integer())
    .done();
    table.display_collection_name = Label::english("Currencies");
    table.collection_schema_name = "TransactionCurrencies".into();
    table
}

fn publisher() -> TableDefinition {
    let prefix = ColumnKind::Integer { min: 10_000, max: 99_999 };
    Builder::new("Publisher", "publishers", 7101, Ownership::Organization, "Publisher")
        .name("FriendlyName", "Display Name", 256)
        .with("UniqueName", "Name", text(256))
        .with("CustomizationPrefix", "Prefix", text(8))
        .with("CustomizationOptionValuePrefix", "Option Value Prefix", prefix)
        .with("Description", "Description", memo(2_000))
        .with("IsReadonly", "Is Read-Only Publisher", boolean(false))
        .with("EMailAddress", "Email", text(100))
        .with("SupportingWebsiteUrl", "Website", text(200))
        .done()
}

fn solution() -> TableDefinition {
    let kinds = [(0, "None"), (1, "Snapshot"), (2, "Internal")];
    Builder::new("Solution", "solutions", 7100, Ownership::Organization, "Solution")
        .name("FriendlyName", "Display Name", 256)
        .with("UniqueName", "Name", text(65))
        .with("Version", "Version", text(256))
        .with("IsManaged", "Package Type", boolean(false))
        .with("IsVisible", "Is Visible Outside Platform", boolean(true))
        .with_lookup("PublisherId", "Publisher", &[("publisher", "publisherid")])
        .with("Description", "Description", memo(2_000))
        .with("InstalledOn", "Installed On", date_time())
        .with("SolutionType", "Solution Type", choice(&kinds))
        .done()
}

fn sdk_message() -> TableDefinition {
    Builder::new("SdkMessage", "sdkmessages", 4606, Ownership::Organization, "Sdk Message")
        .name("Name", "Name", 256)
        .with("CategoryName", "Category Name", text(25))
        .with("IsPrivate", "Is Private", boolean(false))
        .with("IsActive", "Is Active", boolean(true))
        .with("AutoTransact", "Auto Transact", boolean(true))
        .with("Availability", "Availability", integer())
        .with("Template", "Template", boolean(false))
        .with("WorkflowSdkStepEnabled", "WorkflowSdkStepEnabled", boolean(false))
        .with("IntroducedVersion", "Introduced Version", text(48))
        .done()
}

fn sdk_message_filter() -> TableDefinition {
    Builder::new(
        "SdkMessageFilter",
        "sdkmessagefilters",
        4607,
        Ownership::Organization,
        "Sdk Message Filter",
    )
    .name("Name", "Name", 256)
    .with_lookup("SdkMessageId", "SDK Message ID", &[("sdkmessage", "sdkmessageid")])
    .with("PrimaryObjectTypeCode", "Primary Object Type Code", ColumnKind::TableName)
    .with("SecondaryObjectTypeCode", "Secondary Object Type Code", ColumnKind::TableName)
    .with("Availability", "Availability", integer())
    .with("IsCustomProcessingStepAllowed", "Custom Processing Step Allowed", boolean(true))
    .with("IsVisible", "Is Visible", boolean(true))
    .with("WorkflowSdkStepEnabled", "WorkflowSdkStepEnabled", boolean(false))
    .with("IsManaged", "State", boolean(false))
    .with("CustomizationLevel", "Customization Level", integer())
    .with("RestrictionLevel", "Restriction Level", integer())
    .with("IntroducedVersion", "Introduced Version", text(48))
    .done()
}

fn account() -> TableDefinition {
    let industry = [
        (1, "Accounting"),
        (2, "Agriculture and Non-petrol Natural Resource Extraction"),
        (3, "Broadcasting Printing and Publishing"),
        (4, "Brokers"),
        (5, "Building Supply Retail"),
        (6, "Business Services"),
        (7, "Consulting"),
        (8, "Consumer Services"),
        (9, "Design, Direction and Creative Management"),
        (10, "Distributors, Dispatchers and Processors"),
    ];
    let kinds = [(1, "Competitor"), (2, "Consultant"), (3, "Customer"), (12, "Other")];
    Builder::new("Account", "accounts", 1, Ownership::User, "Account")
        .name("Name", "Account Name", 160)
        .with("AccountNumber", "Account Number", text(20))
        .with("Telephone1", "Main Phone", text(50))
        .with("Telephone2", "Other Phone", text(50))
        .with("Fax", "Fax", text(50))
        .with("EMailAddress1", "Email", text(100))
        .with("EMailAddress2", "Email Address 2", text(100))
        .with("WebSiteURL", "Website", text(200))
        .with("Description", "Description", memo(2_000))
        .with_money("Revenue", "Annual Revenue")
        .with_money("CreditLimit", "Credit Limit")
        .with_money("MarketCap", "Market Capitalization")
        .with("CreditOnHold", "Credit Hold", boolean(false))
        .with(
            "NumberOfEmployees",
            "Number of Employees",
            ColumnKind::Integer { min: 0, max: 1_000_000_000 },
        )
        .with(
            "SharesOutstanding",
            "Shares Outstanding",
            ColumnKind::Integer { min: 0, max: 1_000_000_000 },
        )
        .with("IndustryCode", "Industry", choice(&industry))
        .with(
            "AccountCategoryCode",
            "Category",
            choice(&[(1, "Preferred Customer"), (2, "Standard")]),
        )
        .with("AccountRatingCode", "Account Rating", choice(&[(1, "Default Value")]))
        .with("CustomerTypeCode", "Relationship Type", choice(&kinds))
        .with(
            "OwnershipCode",
            "Ownership",
            choice(&[(1, "Public"), (2, "Private"), (3, "Subsidiary"), (4, "Other")]),
        )
        .with("DoNotEMail", "Do not allow Emails", boolean(false))
        .with("DoNotPhone", "Do not allow Phone Calls", boolean(false))
        .with_lookup("PrimaryContactId", "Primary Contact", &[("contact", "primarycontactid")])
        .with_lookup("ParentAccountId", "Parent Account", &[("account", "parentaccountid")])
        .address()
        .with("SIC", "SIC Code", text(20))
        .with("TickerSymbol", "Ticker Symbol", text(10))
        .with("LastOnHoldTime", "Last On Hold Time", date_time())
        .with_image()
        .with_currency()
        .done()
}

fn contact() -> TableDefinition {
    let family = [(1, "Single"), (2, "Married"), (3, "Divorced"), (4, "Widowed")];
    let customers =
        [("account", "parentcustomerid_account"), ("contact", "parentcustomerid_contact")];
    let mut builder =
        Builder::new("Contact", "contacts", 2, Ownership::User, "Contact").full_name(50);
    let mut customer =
        column("ParentCustomerId", "Company Name", lookup(LookupKind::Customer, &customers));
    customer.is_indexed = true;
    let customer = builder.add(customer);
    let account = lookup(LookupKind::Plain, &[("account", "accountid")]);
    let of = Computed::OwnerIn { owner: customer, table: "account".into() };
    builder.add(computed("AccountId", "Account", account, of));
    builder
        .with("MiddleName", "Middle Name", text(50))
        .with("Salutation", "Salutation", text(100))
        .with("JobTitle", "Job Title", text(100))
        .with("EMailAddress1", "Email", text(100))
        .with("EMailAddress2", "Email Address 2", text(100))
        .with("Telephone1", "Business Phone", text(50))
        .with("MobilePhone", "Mobile Phone", text(50))
        .with("BirthDate", "Birthday", date_only())
        .with("GenderCode", "Gender", choice(&[(1, "Male"), (2, "Female")]))
        .with("FamilyStatusCode", "Marital Status", choice(&family))
        .with("Description", "Description", memo(2_000))
        .with_money("AnnualIncome", "Annual Income")
        .with_money("CreditLimit", "Credit Limit")
        .with("DoNotEMail", "Do not allow Emails", boolean(false))
        .with("DoNotPhone", "Do not allow Phone Calls", boolean(false))
        .with("Department", "Department", text(100))
        .with_image()
        .address()
        .with_currency()
        .done()
}

fn lead() -> TableDefinition {
    Builder::new("Lead", "leads", 4, Ownership::User, "Lead")
        .full_name(50)
        .with("Subject", "Topic", text(300))
        .with("CompanyName", "Company Name", text(100))
        .with("JobTitle", "Job Title", text(100))
        .with("EMailAddress1", "Email", text(100))
        .with("Telephone1", "Business Phone", text(50))
        .with("MobilePhone", "Mobile Phone", text(20))
        .with("WebSiteUrl", "Website", text(200))
        .with("Description", "Description", memo(2_000))
        .with_money("Revenue", "Annual Revenue")
        .with_money("EstimatedAmount", "Est. Value")
        .with(
            "NumberOfEmployees",
            "No. of Employees",
            ColumnKind::Integer { min: 0, max: 1_000_000 },
        )
        .with("LeadQualityCode", "Rating", choice(&[(1, "Hot"), (2, "Warm"), (3, "Cold")]))
        .with_lookup(
            "ParentAccountId",
            "Parent Account for lead",
            &[("account", "parentaccountid")],
        )
        .with_lookup(
            "ParentContactId",
            "Parent Contact for lead",
            &[("contact", "parentcontactid")],
        )
        .address()
        .with_currency()
        .done()
}

fn privilege() -> TableDefinition {
    Builder::new("Privilege", "privileges", 1023, Ownership::None, "Privilege")
        .name("Name", "Name", 256)
        .with("AccessRight", "Access Right", integer())
        .with("CanBeBasic", "Can Be Basic", boolean(false))
        .with("CanBeLocal", "Can Be Local", boolean(false))
        .with("CanBeDeep", "Can Be Deep", boolean(false))
        .with("CanBeGlobal", "Can Be Global", boolean(false))
        .with("CanBeEntityReference", "Can Be Entity Reference", boolean(false))
        .with("CanBeParentEntityReference", "Can Be Parent Entity Reference", boolean(false))
        .done()
}

/// A table of the system that holds pairs.
fn intersect(names: &Intersect<'_>) -> TableDefinition {
    let mut table = many_to_many::intersect(names);
    table.metadata_id = derived_id(&format!("table {}", table.logical_name));
    table
}

fn role_privileges() -> TableDefinition {
    let mut table = intersect(&Intersect {
        schema_name: "RolePrivileges",
        key_schema_name: "RolePrivilegeId",
        entity_set_name: "roleprivilegescollection",
        object_type_code: 12,
        ends: [("RoleId", "role"), ("PrivilegeId", "privilege")],
    });
    let depth = column("PrivilegeDepthMask", "Privilege Depth Mask", integer());
    push(&mut table.columns, "roleprivileges", depth);
    table
}

fn system_user_roles() -> TableDefinition {
    intersect(&Intersect {
        schema_name: "SystemUserRoles",
        key_schema_name: "SystemUserRoleId",
        entity_set_name: "systemuserrolescollection",
        object_type_code: 15,
        ends: [("SystemUserId", "systemuser"), ("RoleId", "role")],
    })
}

fn team_roles() -> TableDefinition {
    intersect(&Intersect {
        schema_name: "TeamRoles",
        key_schema_name: "TeamRoleId",
        entity_set_name: "teamrolescollection",
        object_type_code: 40,
        ends: [("TeamId", "team"), ("RoleId", "role")],
    })
}

fn team_membership() -> TableDefinition {
    intersect(&Intersect {
        schema_name: "TeamMembership",
        key_schema_name: "TeamMembershipId",
        entity_set_name: "teammemberships",
        object_type_code: 23,
        ends: [("TeamId", "team"), ("SystemUserId", "systemuser")],
    })
}

fn solution_component() -> TableDefinition {
    let kinds = [
        (1, "Entity"),
        (2, "Attribute"),
        (3, "Relationship"),
        (9, "Option Set"),
        (10, "Entity Relationship"),
        (14, "Entity Key"),
        (20, "Role"),
        (61, "Web Resource"),
        (91, "Plugin Assembly"),
        (92, "SDK Message Processing Step"),
    ];
    let behaviors = [
        (0, "Include Subcomponents"),
        (1, "Do not include subcomponents"),
        (2, "Include As Shell"),
    ];
    Builder::new(
        "SolutionComponent",
        "solutioncomponents",
        7103,
        Ownership::None,
        "Solution Component",
    )
    .with_lookup("SolutionId", "Solution", &[("solution", "solutionid")])
    .with("ObjectId", "Regarding", ColumnKind::Guid)
    .with("ComponentType", "Object Type Code", choice(&kinds))
    .with("RootComponentBehavior", "Root Component Behavior", choice(&behaviors))
    .with("IsMetadata", "Is this component metadata", boolean(false))
    .done()
}
