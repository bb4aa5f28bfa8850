BACKUP DATABASE sotto TO File('backup.tar')
