//! The fault codes that Sheaf emits: value and platform name, in one table.
//!
//! Source: `errors.md` and `bulk.md` section 10 of the contract. HTTP statuses are chosen in
//! `webapi`'s `fault.rs`, not here.

/// A 32-bit fault code. Prints as `0x` and eight lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorCode(pub u32);

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "0x{:08x}", self.0)
    }
}

impl std::fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self} {}", self.name())
    }
}

impl ErrorCode {
    /// Reads `0x80040217`, letters in any case.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
        u32::from_str_radix(digits, 16).ok().map(Self)
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $constant:ident = $value:literal, $name:literal;)*) => {
        $($(#[$doc])* pub const $constant: ErrorCode = ErrorCode($value);)*

        impl ErrorCode {
            /// The platform's name of the code, for `ApiExceptionMessageName`.
            pub fn name(self) -> &'static str {
                match self.0 {
                    $($value => $name,)*
                    _ => "Unknown",
                }
            }
        }
    };
}

codes! {
    /// A message parameter is missing.
    REQUIRED_FIELD_MISSING = 0x8004_0200, "RequiredFieldMissing";
    /// A generic bad argument.
    INVALID_ARGUMENT = 0x8004_0203, "InvalidArgument";
    /// The token was rejected.
    INVALID_USER_AUTH = 0x8004_0204, "InvalidUserAuth";
    /// The service failed, or a documented misuse answers so.
    UNEXPECTED = 0x8004_0216, "UnExpected";
    /// No record with this id.
    OBJECT_DOES_NOT_EXIST = 0x8004_0217, "ObjectDoesNotExist";
    /// Not implemented.
    NOT_IMPLEMENTED = 0x8004_0219, "NotImplemented";
    /// The record is out of the caller's reach.
    ACCESS_DENIED = 0x8004_8306, "AccessDenied";
    /// The owner to be may not read what it would own.
    PRINCIPAL_PRIVILEGE_DENIED = 0x8004_0231, "PrincipalPrivilegeDenied";
    /// The caller may not act for another user.
    CANNOT_ACT_ON_BEHALF = 0x8004_a110, "CannotActOnBehalfOfAnotherUser";
    /// A record would become one of those above it.
    ENTITY_LOOP_BEING_CREATED = 0x8004_0387, "EntityLoopBeingCreated";
    /// A privilege is missing.
    PRIVILEGE_DENIED = 0x8004_0220, "PrivilegeDenied";
    /// A Restrict relationship holds the row.
    CANNOT_DELETE_DUE_TO_ASSOCIATION = 0x8004_0227, "CannotDeleteDueToAssociation";
    /// A system row.
    CANNOT_DELETE_AS_IT_IS_READ_ONLY = 0x8004_0228, "CannotDeleteAsItIsReadOnly";
    /// The owner is unknown.
    INVALID_OWNER_ID = 0x8004_0229, "InvalidOwnerID";
    /// The primary key exists.
    DUPLICATE_RECORD = 0x8004_0237, "DuplicateRecord";
    /// No date, or outside the range.
    INVALID_DATE_TIME = 0x8004_0239, "InvalidDateTime";
    /// A call into a transaction that has failed before.
    NO_ACTIVE_TRANSACTION = 0x8004_0251, "NoActiveTransaction";
    /// A step refused the message.
    ISV_ABORTED = 0x8004_0265, "IsvAborted";
    /// A step failed in a way of its own.
    ISV_UNEXPECTED = 0x8004_0224, "IsvUnExpected";
    /// A step went on behind a write that had failed.
    TRANSACTION_COUNT_REDUCED = 0x8009_000c, "OpenTransactionCountReduced";
    /// A step refused with status 404.
    STEP_NOT_FOUND = 0x8004_8d02, "CustomLogicNotFound";
    /// A step refused with status 500.
    STEP_FAILED = 0x8004_8d0a, "CustomLogicFailed";
    /// An image of a kind that the message does not have.
    IMAGE_TYPE_NOT_SUPPORTED = 0x8004_416d, "MessageDoesNotSupportImageType";
    /// An image of the row behind a write, before it.
    NO_POST_IMAGE_BEFORE = 0x8004_416e, "PreEventStepDoesNotSupportPostImage";
    /// A registration that cannot be.
    REGISTRATION_INVALID = 0x8004_4170, "InvalidPluginRegistrationConfiguration";
    /// An assembly of that name and version is there.
    ASSEMBLY_NOT_UNIQUE = 0x8004_417b, "PluginAssemblyMustHaveUniqueName";
    /// A type of that name is in the assembly already.
    TYPE_NOT_UNIQUE = 0x8004_417c, "PluginTypeMustHaveUniqueName";
    /// A source of an assembly that is not taken.
    INVALID_ASSEMBLY_SOURCE = 0x8004_417d, "InvalidAssemblySourceType";
    /// Steps of steps without end.
    DEPTH_TOO_HIGH = 0x8004_4182, "SdkCorrelationTokenDepthTooHigh";
    /// Secure configuration where none is taken.
    SECURE_CONFIG_ON_SERVER_ONLY = 0x8004_4185, "SdkMessageProcessingStepSecureConfigServerOnly";
    /// Steps are not allowed there.
    STEP_NOT_ALLOWED = 0x8004_4187, "SdkCustomProcessingStepIsNotAllowed";
    /// Images are not allowed there.
    IMAGE_NOT_SUPPORTED = 0x8004_4189, "MessageDoesNotSupportImageRegistration";
    /// The content of an assembly is not what it must be.
    ASSEMBLY_CONTENT_INVALID = 0x8004_418b, "PluginAssemblyContentInvalid";
    /// A type that the assembly does not have.
    TYPE_NOT_IN_ASSEMBLY = 0x8004_418c, "PluginTypeMustImplementPlugin";
    /// What runs a step crashed.
    SANDBOX_CRASHED = 0x8004_418d, "SandboxWorkerProcessCrashed";
    /// Nothing that runs steps became free in time.
    SANDBOX_NOT_AVAILABLE = 0x8004_418e, "SandboxHostNotAvailable";
    /// An assembly that is too large.
    ASSEMBLY_TOO_LARGE = 0x8004_418f, "PluginAssemblyContentTooLarge";
    /// The type of a step cannot be loaded.
    TYPE_NOT_LOADED = 0x8004_4190, "UnableToLoadPluginType";
    /// The assembly of a step cannot be loaded.
    ASSEMBLY_NOT_LOADED = 0x8004_4191, "UnableToLoadPluginAssembly";
    /// A step took too long.
    STEP_TIME_OVER = 0x8008_1111, "SandboxPluginTimeout";
    /// Nothing here runs steps.
    SANDBOX_DISABLED = 0x8008_1115, "SandboxDisabled";
    /// Bad headers of a webhook.
    WEBHOOK_HEADERS_INVALID = 0x8005_0203, "WebhooksInvalidHttpHeaders";
    /// A bad query of a webhook.
    WEBHOOK_QUERY_INVALID = 0x8005_0204, "WebhooksInvalidHttpQueryParams";
    /// An operation that the row's state forbids.
    INVALID_OPERATION = 0x8004_023b, "InvalidOperation";
    /// An image that is none, of a kind that is not taken, or too large.
    PROCESS_IMAGE_FAILURE = 0x8007_2553, "ProcessImageFailure";
    /// A new record brings an image in a column that is not the primary one.
    NON_PRIMARY_IMAGE_ON_CREATE = 0x8009_0487, "CannotUploadNonPrimaryImageAttributeOnCreate";
    /// Control characters in text.
    INVALID_CHARACTERS_IN_FIELD = 0x8004_0278, "InvalidCharactersInField";
    /// A FetchXML query that is malformed.
    INVALID_FETCH_XML = 0x8004_0303, "InvalidFetchXml";
    /// The message does not exist for the table.
    NOT_SUPPORTED = 0x8004_0315, "NotSupported";
    /// `useraworderby` that is neither true nor false.
    INVALID_USE_RAW_ORDER_BY = 0x8004_10fd, "InvalidUserAwOrderBy";
    /// Unknown table in a query or in `@odata.type`.
    QUERY_BUILDER_NO_ENTITY = 0x8004_1102, "QueryBuilderNoEntity";
    /// Unknown column in a query.
    QUERY_BUILDER_NO_ATTRIBUTE = 0x8004_1103, "QueryBuilderNoAttribute";
    /// A FetchXML condition that cannot be.
    BAD_CONDITION = 0x8004_1106, "QueryBuilderBad_Condition";
    /// A plain attribute in an aggregate query.
    ATTRIBUTE_WITH_AGGREGATE = 0x8004_1107, "QueryBuilderAttribute_With_Aggregate";
    /// An alias that is no name.
    INVALID_ALIAS = 0x8004_1109, "QueryBuilderInvalid_Alias";
    /// An alias that no link-entity has.
    ALIAS_DOES_NOT_EXIST = 0x8004_110a, "QueryBuilderAlias_Does_Not_Exist";
    /// An attribute of an aggregate query without alias.
    NO_ALIAS = 0x8004_110b, "QueryBuilderNoAlias";
    /// A link-entity without both of `from` and `to`.
    ATTRIBUTE_PAIR_MISMATCH = 0x8004_1111, "QueryBuilderAttributePairMismatch";
    /// `distinct` that is neither true nor false.
    INVALID_DISTINCT = 0x8004_1115, "QueryBuilderInvalidDistinct";
    /// A link type that is not honoured.
    INVALID_LINK_TYPE = 0x8004_1117, "QueryBuilderInvalidLinkType";
    /// `descending` that is neither true nor false.
    INVALID_DESCENDING = 0x8004_1119, "QueryBuilderInvalidDescending";
    /// An aggregate in FetchXML.
    INVALID_AGGREGATE = 0x8004_111a, "QueryBuilderInvalidAggregate";
    /// An element of FetchXML that is not known there.
    INVALID_NODE = 0x8004_111c, "QueryBuilderInvalidNode";
    /// An element of FetchXML without an attribute that it needs.
    ATTRIBUTE_NOT_FOUND = 0x8004_111e, "QueryBuilderAttributeNotFound";
    /// A condition operator that is not honoured.
    INVALID_CONDITION_OPERATOR = 0x8004_1120, "QueryBuilderInvalidConditionOperator";
    /// A filter that is neither `and` nor `or`.
    INVALID_FILTER_TYPE = 0x8004_1122, "QueryBuilderInvalidFilterType";
    /// FetchXML without an element that it needs.
    ELEMENT_NOT_FOUND = 0x8004_1123, "QueryBuilderElementNotFound";
    /// FetchXML about another table than the address.
    ENTITIES_DO_NOT_MATCH = 0x8004_1128, "QueryBuilderEntitiesDontMatch";
    /// A paging cookie of a query with another order.
    PAGING_ORDER_BY = 0x8004_1129, "PagingOrderBy";
    /// The paging cookie is malformed.
    INVALID_PAGING_COOKIE = 0x8004_112a, "InvalidPagingCookie";
    /// `distinct` without any attribute.
    NO_ATTRS_DISTINCT_CONFLICT = 0x8004_112c, "QueryBuilderNoAttrsDistinctConflict";
    /// `groupby` is neither true nor false.
    INVALID_GROUP_BY = 0x8004_112e, "QueryBuilderInvalidGroupBy";
    /// An aggregate that the column does not have.
    INVALID_AGGREGATE_ATTRIBUTE = 0x8004_112f, "QueryBuilderInvalidAggregateAttribute";
    /// A query without aggregates is ordered by an alias.
    ORDER_BY_ALIAS = 0x8004_1133, "QueryBuilderByAliasNonEmpty";
    /// An aggregate query is ordered by an attribute.
    ORDER_BY_ATTRIBUTE = 0x8004_1134, "QueryBuilderByAttributeNonEmpty";
    /// A part of a date that cannot be grouped by.
    INVALID_DATE_GROUPING = 0x8004_1135, "QueryBuilderInvalidDateGrouping";
    /// An attribute that is both grouped and aggregated.
    ATTRIBUTE_CANNOT_BE_GROUP_BY_AND_AGGREGATE = 0x8004_1137, "AttributeCannotBeGroupByAndAggregate";
    /// An aggregate over more rows than one may read.
    AGGREGATE_QUERY_RECORD_LIMIT_EXCEEDED = 0x8004_e023, "AggregateQueryRecordLimitExceeded";
    /// Two outputs or link-entities of one name.
    DUPLICATE_ALIAS = 0x8004_1130, "QueryBuilderDuplicateAlias";
    /// A store error.
    GENERIC_SQL_ERROR = 0x8004_4150, "GenericSqlError";
    /// A statement or request ran too long.
    SQL_TIMEOUT = 0x8004_4151, "SqlTimeout";
    /// The request body is too large.
    REQUEST_LENGTH_TOO_LARGE = 0x8004_418a, "RequestLengthTooLarge";
    /// No token.
    REQUEST_IS_NOT_AUTHENTICATED = 0x8004_4302, "RequestIsNotAuthenticated";
    /// A system table or column.
    METADATA_RECORD_NOT_DELETABLE = 0x8004_4250, "MetadataRecordNotDeletable";
    /// A page too far behind.
    OVER_RETRIEVAL_UPPER_LIMIT_WITHOUT_PAGING_COOKIE = 0x8004_430a, "OverRetrievalUpperLimitWithoutPagingCookie";
    /// A query that joins too many tables.
    TOO_MANY_LINK_ENTITIES = 0x8004_430d, "TooManyLinkEntitiesInQuery";
    /// Unknown choice value.
    PICKLIST_VALUE_OUT_OF_RANGE = 0x8004_431a, "PicklistValueOutOfRange";
    /// A relationship of that name exists.
    RELATIONSHIP_NAME_EXISTS = 0x8004_432b, "InvalidRelationshipName";
    /// A query with too many conditions.
    TOO_MANY_CONDITIONS = 0x8004_430c, "TooManyConditionsInQuery";
    /// A condition with too many values.
    TOO_MANY_CONDITION_PARAMETERS = 0x8004_430e, "TooManyConditionParametersInQuery";
    /// A whole number outside the column's range.
    INTEGER_VALUE_OUT_OF_RANGE = 0x8004_432f, "IntegerValueOutOfRange";
    /// A decimal, double or money outside the column's range.
    DECIMAL_VALUE_OUT_OF_RANGE = 0x8004_4330, "DecimalValueOutOfRange";
    /// Text over the column's length.
    STRING_LENGTH_TOO_LONG = 0x8004_4331, "StringLengthTooLong";
    /// A row lock could not be had.
    COULD_NOT_OBTAIN_LOCK = 0x8004_4339, "CouldNotObtainLockOnResource";
    /// A status that its state falls back to.
    CANNOT_DELETE_DEFAULT_STATUS_OPTION = 0x8004_4341, "CannotDeleteDefaultStatusOption";
    /// The name of the global choice is taken.
    INVALID_OPTION_SET_SCHEMA_NAME = 0x8004_4345, "InvalidOptionSetSchemaName";
    /// No customization prefix, or a bad one.
    INVALID_NAME_PREFIX = 0x8004_4366, "InvalidNamePrefix";
    /// The column that names a record.
    CANNOT_DELETE_PRIMARY_UI_ATTRIBUTE = 0x8004_7002, "CannotDeletePrimaryUIAttribute";
    /// The table name is taken.
    INVALID_SCHEMA_NAME = 0x8004_700b, "InvalidSchemaName";
    /// An ownership that does not exist.
    INVALID_OWNERSHIP_TYPE = 0x8004_700d, "InvalidOwnershipTypeMask";
    /// The column name is taken.
    DUPLICATE_ATTRIBUTE_SCHEMA_NAME = 0x8004_7013, "DuplicateAttributeSchemaName";
    /// State and status do not go together.
    INVALID_STATE_CODE_STATUS_CODE = 0x8004_8408, "InvalidStateCodeStatusCode";
    /// A condition operator that does not exist.
    INVALID_OPERATOR_CODE = 0x8004_8415, "InvalidOperatorCode";
    /// A row of a bulk delete could not be deleted.
    BULK_DELETE_RECORD_DELETION_FAILURE = 0x8004_8435, "BulkDeleteRecordDeletionFailure";
    /// The elastic store refused.
    STORE_ERROR = 0x8004_8d0b, "StoreError";
    /// The payload does not fit the model.
    PAYLOAD_ERROR = 0x8004_8d19, "InvalidPayload";
    /// The service is busy.
    SERVER_BUSY = 0x8004_a001, "ServerBusy";
    /// The user is disabled.
    SYSTEM_USER_DISABLED = 0x8004_a112, "SystemUserDisabled";
    /// A bulk delete that does not come again daily.
    BULK_DELETE_RECURRENCE_NOT_DAILY = 0x8004_d2a0, "BulkDeleteRecurrenceNotDaily";
    /// A bulk delete whose interval is not 1 to 365 days.
    BULK_DELETE_INTERVAL_OUT_OF_RANGE = 0x8004_d2a1, "BulkDeleteIntervalOutOfRange";
    /// A recurrence pattern that cannot be read.
    INVALID_RECURRENCE_PATTERN = 0x8004_e100, "InvalidRecurrencePattern";
    /// The user has no role.
    USER_NOT_ASSIGNED_ROLES = 0x8004_2f09, "UserNotAssignedRoles";
    /// Something still refers to the component.
    CANNOT_DELETE_IN_USE_COMPONENT = 0x8004_f01f, "CannotDeleteInUseComponent";
    /// The record's version differs.
    CONCURRENCY_VERSION_MISMATCH = 0x8006_0882, "ConcurrencyVersionMismatch";
    /// A version was asked for and not given.
    CONCURRENCY_VERSION_NOT_PROVIDED = 0x8006_0883, "ConcurrencyVersionNotProvided";
    /// The column makes no numbers.
    NOT_AN_AUTO_NUMBER_COLUMN = 0x8006_0884, "NotAnAutoNumberAttribute";
    /// The URL is wrong.
    URI_ERROR = 0x8006_0888, "InvalidUri";
    /// Optimistic concurrency is off for the table.
    OPTIMISTIC_CONCURRENCY_NOT_ENABLED = 0x8006_088d, "OptimisticConcurrencyNotEnabled";
    /// The collection name is taken.
    INVALID_COLLECTION_NAME = 0x8006_088e, "InvalidCollectionName";
    /// The alternate key cannot be made so.
    INVALID_ENTITY_KEY_OPERATION = 0x8006_088f, "InvalidEntityKeyOperation";
    /// No record with this alternate key.
    RECORD_NOT_FOUND_BY_ENTITY_KEY = 0x8006_0891, "RecordNotFoundByEntityKey";
    /// An alternate key is violated.
    DUPLICATE_RECORD_ENTITY_KEY = 0x8006_0892, "DuplicateRecordEntityKey";
    /// The alternate key's name is taken.
    ENTITY_KEY_NAME_EXISTS = 0x8006_0893, "EntityKeyNameExists";
    /// An alternate key over these columns exists.
    ENTITY_KEY_COLUMNS_EXIST = 0x8006_0894, "EntityKeyWithSelectedAttributesExists";
    /// Only a key whose index failed is activated again.
    REACTIVATE_ENTITY_KEY_ONLY_FOR_FAILED_JOBS = 0x8006_0897, "ReactivateEntityKeyOnlyForFailedJobs";
    /// The entity set name is taken.
    INVALID_ENTITY_SET_NAME = 0x8006_089b, "InvalidEntitySetName";
    /// The alternate key is ambiguous.
    MULTIPLE_RECORDS_FOUND_BY_ENTITY_KEY = 0x8006_089d, "MultipleRecordsFoundByEntityKey";
    /// A file is too large for its column.
    FILE_TOO_LARGE = 0x8004_4a02, "AttachmentInvalidFileSize";
    /// The table's changes cannot be followed.
    CHANGE_TRACKING_NOT_ENABLED = 0x8007_2491, "ChangeTrackingNotEnabledForEntity";
    /// The execution time of a user's requests is used up.
    THROTTLING_TIME_EXCEEDED = 0x8007_2321, "ThrottlingTimeExceededError";
    /// The number of a user's requests is used up.
    THROTTLING_BURST_REQUEST_LIMIT_EXCEEDED = 0x8007_2322, "ThrottlingBurstRequestLimitExceededError";
    /// Too many requests of a user at once.
    THROTTLING_CONCURRENCY_LIMIT_EXCEEDED = 0x8007_2326, "ThrottlingConcurrencyLimitExceededError";
    /// Columns are asked for, but not among the properties.
    INVALID_ATTRIBUTE_QUERY = 0x8007_2527, "InvalidAttributeQuery";
    /// The bearer is no user of the organisation.
    USER_NOT_MEMBER_OF_ORG = 0x8007_2560, "UserNotMemberOfOrg";
}
